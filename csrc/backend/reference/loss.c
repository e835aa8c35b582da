#include <math.h>

#include "backend/reference/reference.h"
#include "common/batch.h"

/* Softmax cross-entropy: loss = -log(softmax(logits)[label]); dlogits = softmax(logits) - onehot.
 */
static void single_label(const ft_loss *l)
{
    int32_t counted = 0;
    for (int32_t s = 0; s < l->sequences; s++)
        counted += l->class_labels[s] != FT_IGNORE_LABEL;
    double loss = 0;
    for (int32_t s = 0; s < l->sequences; s++) {
        const float *logits = l->logits + (size_t)s * l->labels;
        float *dlogits = l->dlogits + (size_t)s * l->labels;
        float maximum = -INFINITY, sum = 0;
        for (int32_t c = 0; c < l->labels; c++)
            maximum = fmaxf(maximum, logits[c]);
        for (int32_t c = 0; c < l->labels; c++)
            sum += expf(logits[c] - maximum);
        int64_t label = l->class_labels[s];
        if (label != FT_IGNORE_LABEL)
            loss += logf(sum) + maximum - logits[label];
        for (int32_t c = 0; c < l->labels; c++)
            dlogits[c] = label == FT_IGNORE_LABEL
                             ? 0.0f
                             : (expf(logits[c] - maximum) / sum - (c == label)) / counted;
    }
    *l->loss = (float)(loss / counted);
}

/* loss = (logit - target)^2 */
static void regression(const ft_loss *l)
{
    size_t count = (size_t)l->sequences * l->labels;
    double loss = 0;
    for (size_t e = 0; e < count; e++) {
        float difference = l->logits[e] - l->target_labels[e];
        loss += difference * difference;
        l->dlogits[e] = 2.0f * difference / count;
    }
    *l->loss = (float)(loss / count);
}

/* loss = -target log(sigmoid(logit)) - (1 - target) log(1 - sigmoid(logit)), written without
 * overflow as max(logit, 0) - logit * target + log(1 + exp(-|logit|)). */
static void multi_label(const ft_loss *l)
{
    size_t count = (size_t)l->sequences * l->labels;
    double loss = 0;
    for (size_t e = 0; e < count; e++) {
        float x = l->logits[e], target = l->target_labels[e];
        loss += fmaxf(x, 0) - x * target + log1pf(expf(-fabsf(x)));
        l->dlogits[e] = (1.0f / (1.0f + expf(-x)) - target) / count;
    }
    *l->loss = (float)(loss / count);
}

ft_status ft_reference_loss(ft_backend *backend, const ft_loss *l)
{
    (void)backend;
    if (l->problem == FT_PROBLEM_SINGLE_LABEL)
        single_label(l);
    else if (l->problem == FT_PROBLEM_REGRESSION)
        regression(l);
    else
        multi_label(l);
    return FT_OK;
}
