/* For x86-64 processors with AVX2 and FMA. */
#if defined(__x86_64__)

/* System headers first: what they define inline must not take the target below. */
#    include <math.h>
#    include <stdbool.h>
#    include <stddef.h>
#    include <stdint.h>
#    include <string.h>

#    pragma GCC target("avx2,fma,bmi2")

#    define FT_LANES 8
#    define FT_MOST_PACKED 1
#    define FT_KERNELS ft_cpu_kernels_avx2
#    define FT_KERNELS_NAME "avx2"

#    include "backend/cpu/kernels/table.h"

#else
typedef int ft_cpu_kernels_avx2_not_built; /* ISO C wants a declaration in every file */
#endif
