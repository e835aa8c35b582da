/* Arguments of loss.cu's kernels. */
#ifndef FT_BACKEND_CUDA_KERNELS_LOSS_H
#define FT_BACKEND_CUDA_KERNELS_LOSS_H

#include "types.h"

enum { FT_LOSS_THREADS = 1024 };

/* loss_single_label, loss_regression, loss_multi_label: as ft_loss. One block. */
typedef struct ft_loss_arguments {
    const float *logits;           /* [sequences, labels] */
    const long long *class_labels; /* [sequences], single label */
    const float *target_labels;    /* [sequences, labels], otherwise */
    float *loss;                   /* [1] */
    float *dlogits;                /* [sequences, labels] */
    long long ignored;             /* the class label of sequences that do not count */
    int sequences, labels;
} ft_loss_arguments;

#endif
