/* Attention of heads of up to 128 columns. */
#include "attention_kernels.cuh"

FT_ATTENTION_KERNELS(128, 2)
