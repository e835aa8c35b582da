/* Attention of heads of up to 64 columns: in float16 by tensor cores. */
#include "attention_kernels.cuh"

#if FT_PRECISION == 2
FT_ATTENTION_TENSOR_KERNELS(64)
#else
FT_ATTENTION_KERNELS(64, 4)
#endif
