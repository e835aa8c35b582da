/* Arguments of pack.cu's kernels. */
#ifndef FT_BACKEND_CUDA_KERNELS_PACK_H
#define FT_BACKEND_CUDA_KERNELS_PACK_H

enum { FT_PACK_THREADS = 256 };

/* As ft_array; type is ft_number's. */
typedef struct ft_cuda_array {
    const char *data;
    long long row_stride, column_stride; /* in bytes */
    int type, unused;
} ft_cuda_array;

/* As ft_padded_arrays. */
typedef struct ft_cuda_padded {
    ft_cuda_array input_ids, attention_mask, token_type_ids, position_ids, labels;
    int length, label_width;
    int class_labels;
    int vocabulary, positions, types, classes;
    int unused;
} ft_cuda_padded;

/* padded_lengths: as the operation. A block for each row. */
typedef struct ft_padded_lengths_arguments {
    ft_cuda_padded padded;
    int *lengths;      /* [rows] */
    long long ignored; /* the class label of sequences that do not count */
} ft_padded_lengths_arguments;

/* pack: as the operation. A block for each row. */
typedef struct ft_pack_arguments {
    ft_cuda_padded padded;
    const int *cu_seqlens;
    int *input_ids, *token_type_ids, *position_ids;
    long long *class_labels;
    float *target_labels;
    long long ignored; /* the class label of sequences that do not count */
} ft_pack_arguments;

#endif
