/* Layer normalization of rows (Ba, Kiros, Hinton 2016), shared by the embedding and the residual
 * norm. With xhat = (x - mean) * rstd: y = gamma * xhat + beta.
 *
 * Where a row's numbers come from and where they go is up to `Row`, which is made from the kernel's
 * arguments and the row's number. Its methods take a column, and one element or four from there. */
#ifndef FT_BACKEND_CUDA_KERNELS_NORM_CUH
#define FT_BACKEND_CUDA_KERNELS_NORM_CUH

#include "fours.cuh"
#include "norm.h"
#include "sums.cuh"

/* How many fours of a row a lane has: those at ft_norm_column(i), i from 0. */
#define FT_NORM_FOURS (FT_NORM_IN_REGISTERS / 4 / FT_WARP)

__device__ inline int ft_norm_column(int i)
{
    return 4 * (threadIdx.x % FT_WARP + FT_WARP * i);
}

/* ---- forward: Row has load(column) -> x, store(column, x, y), and zero(column, x) for rows that
 * belong to no sequence ---- */

/* The row by a warp, in registers. */
template <typename Row>
__device__ inline void ft_norm_forward_warp(const Row &at, const ft_norm_forward_arguments &a,
                                            size_t row)
{
    float4 x[FT_NORM_FOURS];
    float sum = 0.0f, squares = 0.0f;
#pragma unroll
    for (int i = 0; i < FT_NORM_FOURS; i++) {
        int column = ft_norm_column(i);
        if (column < a.hidden) {
            x[i] = at.template load<float4>(column);
            sum += ft_sum_of(x[i]);
        }
    }
    float mean = ft_warp_sum(sum) / a.hidden;
#pragma unroll
    for (int i = 0; i < FT_NORM_FOURS; i++)
        if (ft_norm_column(i) < a.hidden)
            squares += ft_sum_of((x[i] - mean) * (x[i] - mean));
    float rstd = 1.0f / sqrtf(ft_warp_sum(squares) / a.hidden + a.eps);
#pragma unroll
    for (int i = 0; i < FT_NORM_FOURS; i++) {
        int column = ft_norm_column(i);
        if (column < a.hidden)
            at.store(column, x[i],
                     (x[i] - mean) * rstd * ft_read<float4>(a.gamma, column) +
                         ft_read<float4>(a.beta, column));
    }
    if (threadIdx.x % FT_WARP == 0) {
        a.mean[row] = mean;
        a.rstd[row] = rstd;
    }
}

/* The row by a block, from memory at each pass. `shared` has an entry for each warp. */
template <typename Row>
__device__ inline void ft_norm_forward_block(const Row &at, const ft_norm_forward_arguments &a,
                                             size_t row, float *shared)
{
    float sum = 0.0f, squares = 0.0f;
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x)
        sum += at.template load<float>(column);
    float mean = ft_block_sum(sum, shared) / a.hidden;
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x) {
        float x = at.template load<float>(column) - mean;
        squares += x * x;
    }
    float rstd = 1.0f / sqrtf(ft_block_sum(squares, shared) / a.hidden + a.eps);
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x) {
        float x = at.template load<float>(column);
        at.store(column, x, (x - mean) * rstd * a.gamma[column] + a.beta[column]);
    }
    if (threadIdx.x == 0) {
        a.mean[row] = mean;
        a.rstd[row] = rstd;
    }
}

template <typename Row, typename Arguments>
__device__ inline void ft_norm_forward(const Arguments &a, float *shared)
{
    size_t row = blockIdx.x, tokens = *a.norm.tokens;
    if (a.norm.in_registers) {
        row = row * FT_NORM_WARPS + threadIdx.x / FT_WARP;
        if (row >= a.norm.rows)
            return;
        Row at(a, row);
        if (row < tokens)
            ft_norm_forward_warp(at, a.norm, row);
        else
            for (int column = ft_norm_column(0); column < a.norm.hidden; column += 4 * FT_WARP)
                at.zero(column, ft_none<float4>());
    } else {
        Row at(a, row);
        if (row < tokens)
            ft_norm_forward_block(at, a.norm, row, shared);
        else
            for (int column = threadIdx.x; column < a.norm.hidden; column += blockDim.x)
                at.zero(column, 0.0f);
    }
}

/* ---- backward: with g = dy * gamma, dx = rstd * (g - mean(g) - xhat * mean(g * xhat)). Row has
 * x(column), dy(column), store(column, dx), which may overwrite that dy, and zero(column, dx) ----
 */

/* Rows in registers: each warp has its own, and sums dgamma and dbeta up over them. */
template <typename Row, typename Arguments>
__device__ inline void ft_norm_backward_warps(const Arguments &arguments,
                                              float (*shared)[FT_NORM_IN_REGISTERS])
{
    const ft_norm_backward_arguments &a = arguments.norm;
    float4 dgamma[FT_NORM_FOURS], dbeta[FT_NORM_FOURS];
#pragma unroll
    for (int i = 0; i < FT_NORM_FOURS; i++)
        dgamma[i] = dbeta[i] = ft_none<float4>();
    int warp = threadIdx.x / FT_WARP, tokens = *a.tokens;
    for (int row = blockIdx.x * FT_NORM_WARPS + warp; row < a.rows;
         row += gridDim.x * FT_NORM_WARPS) {
        Row at(arguments, row);
        if (row >= tokens) {
            for (int column = ft_norm_column(0); column < a.hidden; column += 4 * FT_WARP)
                at.zero(column, ft_none<float4>());
            continue;
        }
        float mean = a.mean[row], rstd = a.rstd[row], g_mean = 0.0f, g_xhat_mean = 0.0f;
#pragma unroll
        for (int i = 0; i < FT_NORM_FOURS; i++) {
            int column = ft_norm_column(i);
            if (column < a.hidden) {
                float4 xhat = (at.template x<float4>(column) - mean) * rstd;
                float4 dy = at.template dy<float4>(column);
                float4 g = dy * ft_read<float4>(a.gamma, column);
                g_mean += ft_sum_of(g);
                g_xhat_mean += ft_sum_of(g * xhat);
                dgamma[i] = dgamma[i] + dy * xhat;
                dbeta[i] = dbeta[i] + dy;
            }
        }
        g_mean = ft_warp_sum(g_mean) / a.hidden;
        g_xhat_mean = ft_warp_sum(g_xhat_mean) / a.hidden;
        /* x and dy again: they are in the cache, and kept would take too many registers. */
#pragma unroll
        for (int i = 0; i < FT_NORM_FOURS; i++) {
            int column = ft_norm_column(i);
            if (column < a.hidden) {
                float4 xhat = (at.template x<float4>(column) - mean) * rstd;
                float4 g = at.template dy<float4>(column) * ft_read<float4>(a.gamma, column);
                at.store(column, (g - g_mean + xhat * -g_xhat_mean) * rstd);
            }
        }
    }
    for (int w = 0; w < FT_NORM_WARPS; w++) {
        if (w == warp)
#pragma unroll
            for (int i = 0; i < FT_NORM_FOURS; i++) {
                int column = ft_norm_column(i);
                if (column < a.hidden) {
                    if (w > 0) {
                        dgamma[i] = ft_read<float4>(shared[0], column) + dgamma[i];
                        dbeta[i] = ft_read<float4>(shared[1], column) + dbeta[i];
                    }
                    ft_write(shared[0], column, dgamma[i]);
                    ft_write(shared[1], column, dbeta[i]);
                }
            }
        __syncthreads();
    }
    float *partial = a.partial + (size_t)blockIdx.x * 2 * a.hidden;
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x) {
        partial[column] = shared[0][column];
        partial[a.hidden + column] = shared[1][column];
    }
}

/* Rows in memory: each thread has its columns, of `partial` too. */
template <typename Row, typename Arguments>
__device__ inline void ft_norm_backward_block(const Arguments &arguments, float *shared)
{
    const ft_norm_backward_arguments &a = arguments.norm;
    float *dgamma = a.partial + (size_t)blockIdx.x * 2 * a.hidden, *dbeta = dgamma + a.hidden;
    for (int column = threadIdx.x; column < a.hidden; column += blockDim.x)
        dgamma[column] = dbeta[column] = 0.0f;
    int tokens = *a.tokens;
    for (int row = blockIdx.x; row < a.rows; row += gridDim.x) {
        Row at(arguments, row);
        if (row >= tokens) {
            for (int column = threadIdx.x; column < a.hidden; column += blockDim.x)
                at.zero(column, 0.0f);
            continue;
        }
        float mean = a.mean[row], rstd = a.rstd[row], g_mean = 0.0f, g_xhat_mean = 0.0f;
        for (int column = threadIdx.x; column < a.hidden; column += blockDim.x) {
            float xhat = (at.template x<float>(column) - mean) * rstd;
            float dy = at.template dy<float>(column), g = dy * a.gamma[column];
            g_mean += g;
            g_xhat_mean += g * xhat;
            dgamma[column] += dy * xhat;
            dbeta[column] += dy;
        }
        g_mean = ft_block_sum(g_mean, shared) / a.hidden;
        g_xhat_mean = ft_block_sum(g_xhat_mean, shared) / a.hidden;
        for (int column = threadIdx.x; column < a.hidden; column += blockDim.x) {
            float xhat = (at.template x<float>(column) - mean) * rstd;
            float g = at.template dy<float>(column) * a.gamma[column];
            at.store(column, rstd * (g - g_mean - xhat * g_xhat_mean));
        }
    }
}

/* `shared` is the block's. */
template <typename Row, typename Arguments>
__device__ inline void ft_norm_backward(const Arguments &a, float (*shared)[FT_NORM_IN_REGISTERS])
{
    if (a.norm.in_registers)
        ft_norm_backward_warps<Row>(a, shared);
    else
        ft_norm_backward_block<Row>(a, shared[0]);
}

#endif
