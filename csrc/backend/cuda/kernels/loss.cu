/* The loss of a batch and its gradient, by one block: there is little of it. */
#include "loss.h"
#include "sums.cuh"

#define WARPS (FT_LOSS_THREADS / FT_WARP)

/* Softmax cross-entropy, a warp to each sequence: loss = -log(softmax(logits)[label]);
 * dlogits = softmax(logits) - onehot. */
FT_KERNEL(loss_single_label, FT_LOSS_THREADS)(const ft_loss_arguments a)
{
    __shared__ double sums[WARPS];
    int lane = threadIdx.x % FT_WARP;
    double counts = 0.0, loss = 0.0;
    for (int s = threadIdx.x; s < a.sequences; s += FT_LOSS_THREADS)
        counts += a.class_labels[s] != a.ignored;
    int counted = (int)ft_block_sum(counts, sums);
    for (int s = threadIdx.x / FT_WARP; s < a.sequences; s += WARPS) {
        const float *logits = a.logits + (size_t)s * a.labels;
        float *dlogits = a.dlogits + (size_t)s * a.labels;
        long long label = a.class_labels[s];
        float maximum = -__uint_as_float(0x7F800000u), sum = 0.0f;
        for (int c = lane; c < a.labels; c += FT_WARP)
            maximum = fmaxf(maximum, logits[c]);
        maximum = ft_warp_max(maximum);
        for (int c = lane; c < a.labels; c += FT_WARP)
            sum += expf(logits[c] - maximum);
        sum = ft_warp_sum(sum);
        if (label != a.ignored && lane == 0)
            loss += logf(sum) + maximum - logits[label];
        for (int c = lane; c < a.labels; c += FT_WARP)
            dlogits[c] = label == a.ignored
                             ? 0.0f
                             : (expf(logits[c] - maximum) / sum - (c == label)) / counted;
    }
    loss = ft_block_sum(loss, sums);
    if (threadIdx.x == 0)
        *a.loss = (float)(loss / counted);
}

/* loss = (logit - target)^2 */
FT_KERNEL(loss_regression, FT_LOSS_THREADS)(const ft_loss_arguments a)
{
    __shared__ double sums[WARPS];
    size_t count = (size_t)a.sequences * a.labels;
    double loss = 0.0;
    for (size_t at = threadIdx.x; at < count; at += FT_LOSS_THREADS) {
        float difference = a.logits[at] - a.target_labels[at];
        loss += difference * difference;
        a.dlogits[at] = 2.0f * difference / count;
    }
    loss = ft_block_sum(loss, sums);
    if (threadIdx.x == 0)
        *a.loss = (float)(loss / count);
}

/* loss = -target log(sigmoid(logit)) - (1 - target) log(1 - sigmoid(logit)), written without
 * overflow as max(logit, 0) - logit * target + log(1 + exp(-|logit|)). */
FT_KERNEL(loss_multi_label, FT_LOSS_THREADS)(const ft_loss_arguments a)
{
    __shared__ double sums[WARPS];
    size_t count = (size_t)a.sequences * a.labels;
    double loss = 0.0;
    for (size_t at = threadIdx.x; at < count; at += FT_LOSS_THREADS) {
        float x = a.logits[at], target = a.target_labels[at];
        loss += fmaxf(x, 0.0f) - x * target + log1pf(expf(-fabsf(x)));
        a.dlogits[at] = (1.0f / (1.0f + expf(-x)) - target) / count;
    }
    loss = ft_block_sum(loss, sums);
    if (threadIdx.x == 0)
        *a.loss = (float)(loss / count);
}
