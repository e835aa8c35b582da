/* What runs over rows and whole buffers: gathers, dropout, scaling, rounding. */
#include "rows.h"
#include "table.cuh"

FT_KERNEL(first_rows_gather, FT_ROWS_THREADS)(const ft_first_rows_arguments a)
{
    const ft_element *from =
        (const ft_element *)a.from + (size_t)a.cu_seqlens[blockIdx.x] * a.hidden;
    ft_element *to = (ft_element *)a.to + (size_t)blockIdx.x * a.hidden;
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x)
        to[column] = from[column];
}

FT_KERNEL(first_rows_scatter, FT_ROWS_THREADS)(const ft_first_rows_arguments a)
{
    const float *from = (const float *)a.from + (size_t)blockIdx.x * a.hidden;
    float *to = (float *)a.to + (size_t)a.cu_seqlens[blockIdx.x] * a.hidden;
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x)
        to[column] += from[column];
}

/* Calls pass(at, T()) for all elements; T is float, or float4 for four from `at` on. NVRTC takes no
 * lambdas of several types. */
template <typename Pass>
__device__ inline void for_each(unsigned long long count, bool fours, const Pass &pass)
{
    size_t thread = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    size_t threads = (size_t)gridDim.x * blockDim.x, in_fours = fours ? count / 4 : 0;
    for (size_t four = thread; four < in_fours; four += threads)
        pass(4 * four, ft_none<float4>());
    for (size_t at = 4 * in_fours + thread; at < count; at += threads)
        pass(at, ft_none<float>());
}

struct Drop {
    const ft_dropout_arguments &a;
    const ft_cuda_dropout dropout;

    template <typename T> __device__ void operator()(size_t at, T) const
    {
        ft_write(a.y, at, ft_drop(dropout, at, ft_read<T>(a.x, at)));
    }
};

FT_KERNEL(dropout, FT_ROWS_THREADS)(const ft_dropout_arguments a)
{
    for_each(a.count, a.fours, Drop{a, *a.dropout});
}

struct ScaleAdd {
    const ft_scale_add_arguments &a;
    const float scale;

    template <typename T> __device__ void operator()(size_t at, T) const
    {
        T x = ft_read<T>(a.x, at) * scale;
        ft_write(a.x, at, a.y ? x + ft_read<T>(a.y, at) : x);
    }
};

FT_KERNEL(scale_add, FT_ROWS_THREADS)(const ft_scale_add_arguments a)
{
    for_each(a.count, a.fours, ScaleAdd{a, *a.scale});
}

struct Cast {
    const ft_cast_arguments &a;

    template <typename T> __device__ void operator()(size_t at, T) const
    {
        ft_write_elements(a.y, at, ft_read<T>(a.x, at));
    }
};

FT_KERNEL(cast, FT_ROWS_THREADS)(const ft_cast_arguments a)
{
    for_each(a.count, a.fours, Cast{a});
}

struct ZeroRows {
    const ft_zero_rows_arguments &a;

    template <typename T> __device__ void operator()(size_t at, T none) const
    {
        ft_write(a.x, at, none);
    }
};

FT_KERNEL(zero_rows, FT_TABLE_THREADS)(const ft_zero_rows_arguments a)
{
    ft_for_each_row(a.table, [&](size_t begin, size_t end, bool flagged) {
        if (flagged)
            ft_for_each_in_row(a.table, begin, end, ZeroRows{a});
    });
}

FT_KERNEL(add_flags, FT_ROWS_THREADS)(const ft_add_flags_arguments a)
{
    size_t first = (size_t)blockIdx.x * blockDim.x + threadIdx.x;
    for (size_t at = first; at < a.count; at += (size_t)gridDim.x * blockDim.x)
        if (a.from[at])
            a.to[at] = 1;
}
