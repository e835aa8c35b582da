/* The norm after each residual: y = LayerNorm(dropout(x) + residual). */
#include "norm.cuh"

struct ForwardRow {
    const ft_residual_norm_forward_arguments &a;
    const ft_cuda_dropout dropout;
    const size_t start;

    __device__ ForwardRow(const ft_residual_norm_forward_arguments &a, size_t row)
        : a(a), dropout(*a.norm.dropout), start(row * a.norm.hidden)
    {
    }

    template <typename T> __device__ T load(int column) const
    {
        size_t at = start + column;
        return ft_drop(dropout, at, ft_read_elements<T>(a.x, at)) + ft_read<T>(a.residual, at);
    }

    /* x and sum may be the same memory: this element of x has been read for the last time. */
    template <typename T> __device__ void store(int column, T sum, T y) const
    {
        ft_write_elements(a.sum, start + column, sum);
        zero(column, y);
    }

    template <typename T> __device__ void zero(int column, T y) const
    {
        ft_write_elements(a.y, start + column, y);
        if (a.stream)
            ft_write(a.stream, start + column, y);
    }
};

struct BackwardRow {
    const ft_residual_norm_backward_arguments &a;
    const size_t start;

    __device__ BackwardRow(const ft_residual_norm_backward_arguments &a, size_t row)
        : a(a), start(row * a.norm.hidden)
    {
    }

    template <typename T> __device__ T x(int column) const
    {
        return ft_read_elements<T>(a.sum, start + column);
    }

    template <typename T> __device__ T dy(int column) const
    {
        return ft_read<T>(a.dy, start + column);
    }

    template <typename T> __device__ void store(int column, T dx) const
    {
        size_t at = start + column;
        ft_write(a.dresidual, at, dx);
        ft_write_elements(a.dx, at, ft_drop(*a.norm.dropout, at, dx));
    }

    template <typename T> __device__ void zero(int column, T none) const
    {
        ft_write(a.dresidual, start + column, none);
        ft_write_elements(a.dx, start + column, none);
    }
};

FT_KERNEL(residual_norm_forward, FT_NORM_THREADS)(const ft_residual_norm_forward_arguments a)
{
    __shared__ float shared[FT_NORM_WARPS];
    ft_norm_forward<ForwardRow>(a, shared);
}

FT_KERNEL_RESIDENT(residual_norm_backward, FT_NORM_THREADS, FT_NORM_BACKWARD_BLOCKS)
(const ft_residual_norm_backward_arguments a)
{
    __shared__ __align__(16) float shared[2][FT_NORM_IN_REGISTERS];
    ft_norm_backward<BackwardRow>(a, shared);
}
