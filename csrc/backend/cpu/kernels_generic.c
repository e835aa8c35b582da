/* For any processor. */
#define FT_LANES 4
#define FT_MOST_PACKED 1
#define FT_KERNELS ft_cpu_kernels_generic
#define FT_KERNELS_NAME "generic"

#include "backend/cpu/kernels/table.h"
