#include "backend/cuda/kernels/loss.h"

#include "backend/cuda/launch.h"
#include "common/batch.h"

ft_status ft_cuda_loss(ft_backend *backend, const ft_loss *l)
{
    static const ft_kernel kernels[] = {
        [FT_PROBLEM_SINGLE_LABEL] = FT_KERNEL_loss_single_label,
        [FT_PROBLEM_REGRESSION] = FT_KERNEL_loss_regression,
        [FT_PROBLEM_MULTI_LABEL] = FT_KERNEL_loss_multi_label,
    };
    const ft_loss_arguments arguments = {
        .logits = l->logits,
        .class_labels = (const long long *)l->class_labels,
        .target_labels = l->target_labels,
        .loss = l->loss,
        .dlogits = l->dlogits,
        .ignored = FT_IGNORE_LABEL,
        .sequences = l->sequences,
        .labels = l->labels,
    };
    return ft_cuda_launch_line(ft_cuda_of(backend), kernels[l->problem], FT_FLOAT32, 1,
                               FT_LOSS_THREADS, &arguments, sizeof arguments);
}
