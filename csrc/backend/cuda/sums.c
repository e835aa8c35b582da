#include "backend/cuda/sums.h"

#include "backend/cuda/launch.h"

/* Of parts that wait: they should be found in the GPU's cache. */
enum { ROOM = 16 << 20 };

ft_status ft_cuda_finish_sums(ft_cuda *cuda)
{
    ft_cuda_sums *s = ft_cuda_tape_sums(cuda->tape);
    ft_add_partials_arguments arguments = {NULL};
    int32_t widest = 0;
    int count = s->count;
    if (count == 0)
        return FT_OK;
    s->count = 0;
    s->used = 0;
    for (int i = 0; i < count; i++)
        if (widest < s->waiting[i].columns)
            widest = s->waiting[i].columns;
    FT_FORWARD(ft_cuda_variable(cuda, s->waiting, (size_t)count * sizeof *s->waiting,
                                (const void **)&arguments.sums));
    return ft_cuda_launch(
        cuda, &(ft_launch){
                  .kernel = FT_KERNEL_add_partials,
                  .precision = FT_FLOAT32,
                  .grid = {ft_cuda_blocks((size_t)widest, FT_PARTIALS_COLUMNS, INT32_MAX),
                           (uint32_t)count, 1},
                  .block = {FT_PARTIALS_COLUMNS, FT_PARTIALS_SHARES, 1},
                  .arguments = &arguments,
                  .size = sizeof arguments,
              });
}

/* One kernel writes each number once. */
static bool waits(const ft_cuda_sums *s, const ft_cuda_sum *sum)
{
    for (int i = 0; i < s->count; i++)
        if (sum->out < s->waiting[i].out + s->waiting[i].columns &&
            s->waiting[i].out < sum->out + sum->columns)
            return true;
    return false;
}

ft_status ft_cuda_sum_later(ft_cuda *cuda, uint32_t parts, const ft_cuda_sum *sums, int count,
                            bool accumulate, float **out)
{
    ft_cuda_sums *s = ft_cuda_tape_sums(cuda->tape);
    int32_t stride = 0;
    bool again = false;
    for (int i = 0; i < count; i++) {
        stride += sums[i].columns;
        again |= waits(s, &sums[i]);
    }
    size_t bytes = (size_t)parts * (size_t)stride * sizeof(float);
    if (again || s->count + count > FT_CUDA_SUMS || s->used + bytes > s->parts.bytes)
        FT_FORWARD(ft_cuda_finish_sums(cuda));
    if (bytes > s->parts.bytes)
        FT_FORWARD(ft_cuda_grow(cuda, bytes > ROOM ? bytes : ROOM, &s->parts));
    float *at = (float *)((char *)s->parts.memory + s->used);
    *out = at;
    for (int i = 0; i < count; i++) {
        s->waiting[s->count++] = (ft_partials){
            .parts = at,
            .out = sums[i].out,
            .count = (int)parts,
            .stride = stride,
            .columns = sums[i].columns,
            .accumulate = accumulate,
        };
        at += sums[i].columns;
    }
    s->used += (bytes + 255) / 256 * 256;
    return FT_OK;
}
