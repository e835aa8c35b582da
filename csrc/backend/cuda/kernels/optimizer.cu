/* The optimizer's passes: memory's speed is the limit. */
#include "optimizer.h"
#include "sums.cuh"
#include "table.cuh"

/* ---- the gradients' norm ---- */

struct AddSquares {
    const ft_sum_of_squares_arguments &a;
    double *sums; /* [4] */

    __device__ void operator()(size_t at, float) const
    {
        sums[0] += (double)a.x[at] * a.x[at];
    }

    __device__ void operator()(size_t at, float4) const
    {
        float4 x = ft_read<float4>(a.x, at);
        sums[0] += (double)x.x * x.x;
        sums[1] += (double)x.y * x.y;
        sums[2] += (double)x.z * x.z;
        sums[3] += (double)x.w * x.w;
    }
};

FT_KERNEL(sum_of_squares, FT_TABLE_THREADS)(const ft_sum_of_squares_arguments a)
{
    __shared__ double shared[FT_TABLE_WARPS];
    double sums[4] = {0.0, 0.0, 0.0, 0.0};
    ft_for_each_row(a.table, [&](size_t begin, size_t end, bool flagged) {
        if (flagged)
            ft_for_each_in_row(a.table, begin, end, AddSquares{a, sums});
    });
    double sum = ft_block_sum(sums[0] + sums[1] + (sums[2] + sums[3]), shared);
    if (threadIdx.x == 0)
        a.out[blockIdx.x] = sum;
}

FT_KERNEL(add_up, FT_TABLE_THREADS)(const ft_add_up_arguments a)
{
    __shared__ double shared[FT_TABLE_WARPS];
    double sum = 0.0;
    for (int part = threadIdx.x; part < a.count; part += FT_TABLE_THREADS)
        sum += a.parts[part];
    sum = ft_block_sum(sum, shared);
    if (threadIdx.x == 0)
        *a.out = sum;
}

FT_KERNEL(clip, FT_WARP)(const ft_clip_arguments a)
{
    double sum = 0.0;
    for (int i = threadIdx.x; i < a.count; i += FT_WARP)
        sum += a.squares[i];
    sum = ft_warp_sum(sum);
    if (threadIdx.x > 0)
        return;
    ft_clip_limits limits = *a.limits;
    float norm = (float)sqrt(sum) / limits.loss_scale, scale = 1.0f;
    if (limits.max_norm > 0.0f)
        scale = fminf(1.0f, limits.max_norm / (norm + 1e-6f));
    a.norm_and_scale[0] = norm;
    a.norm_and_scale[1] =
        isfinite(norm) ? scale / limits.loss_scale : __uint_as_float(0x7FC00000u) /* NaN */;
}

/* ---- AdamW ---- */

__device__ inline void update(const ft_adamw_factors &f, float scale, float gradient, float &p,
                              float &m, float &v)
{
    float g = gradient * scale;
    m += f.rest1 * (g - m);
    v = f.beta2 * v + f.rest2 * g * g;
    p -= f.step_size * m / (sqrtf(v) / f.correction2 + f.eps);
}

__device__ inline void update(const ft_adamw_factors &f, float scale, float4 gradient, float4 &p,
                              float4 &m, float4 &v)
{
    update(f, scale, gradient.x, p.x, m.x, v.x);
    update(f, scale, gradient.y, p.y, m.y, v.y);
    update(f, scale, gradient.z, p.z, m.z, v.z);
    update(f, scale, gradient.w, p.w, m.w, v.w);
}

struct Decay {
    const ft_adamw_arguments &a;
    const ft_adamw_factors &f;

    template <typename T> __device__ void operator()(size_t at, T) const
    {
        store(at, ft_read<T>(a.parameter, at) * f.decay);
    }

    template <typename T> __device__ void store(size_t at, T p) const
    {
        ft_write(a.parameter, at, p);
        if (a.shadow)
            ft_write_elements(a.shadow, at, p);
    }
};

struct Update : Decay {
    const float scale;

    template <typename T> __device__ void operator()(size_t at, T) const
    {
        T p = ft_read<T>(a.parameter, at) * f.decay;
        T m = ft_read<T>(a.moment1, at), v = ft_read<T>(a.moment2, at);
        update(f, scale, ft_read<T>(a.gradient, at), p, m, v);
        ft_write(a.moment1, at, m);
        ft_write(a.moment2, at, v);
        store(at, p);
    }
};

FT_KERNEL(adamw, FT_TABLE_THREADS)(const ft_adamw_arguments a)
{
    float scale = a.scale ? *a.scale : 1.0f;
    if (isnan(scale))
        return;
    const ft_adamw_factors f = *a.factors;
    ft_for_each_row(a.table, [&](size_t begin, size_t end, bool flagged) {
        if (flagged)
            ft_for_each_in_row(a.table, begin, end, Update{{a, f}, scale});
        else if (f.decay != 1.0f) /* otherwise nothing changes */
            ft_for_each_in_row(a.table, begin, end, Decay{a, f});
    });
}
