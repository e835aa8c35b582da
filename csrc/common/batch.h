/* The packed batch: what the collator makes and the train step eats. Its sequences lie end to end
 * with no padding between them; every array is in host memory. */
#ifndef FT_COMMON_BATCH_H
#define FT_COMMON_BATCH_H

#include <stdint.h>

/* A class label that takes no part in the loss (torch.nn.CrossEntropyLoss's ignore_index). */
enum { FT_IGNORE_LABEL = -100 };

typedef struct ft_batch {
    int32_t sequences;
    int32_t tokens;          /* cu_seqlens[sequences] */
    int32_t max_length;      /* of the longest sequence */
    int32_t label_width;     /* columns of target_labels; 0 where there are none */
    int32_t *input_ids;      /* [tokens] */
    int32_t *token_type_ids; /* [tokens]; all 0 where the source had none */
    int32_t *position_ids;   /* [tokens] */
    int32_t *cu_seqlens;   /* [sequences + 1]: sequence s is rows cu_seqlens[s]..cu_seqlens[s+1] */
    int32_t *key_starts;   /* [sequences] or NULL. The first row of each sequence that attention
                              may look at: cu_seqlens[s], or one more where position 0 was masked
                              (it is still the row that the classifier reads, as in Hugging Face).
                              NULL: all start at cu_seqlens[s]. */
    int64_t *class_labels; /* [sequences] or NULL: integer labels */
    float *target_labels;  /* [sequences, label_width] or NULL: real-valued labels */
    void *memory;          /* what all the arrays are carved from; ft_release it */
} ft_batch;

#endif
