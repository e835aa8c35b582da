/* For x86-64 processors with AVX-512 and its products of bfloat16. */
#if defined(__x86_64__)

/* System headers first: what they define inline must not take the target below. */
#    include <math.h>
#    include <stdbool.h>
#    include <stddef.h>
#    include <stdint.h>
#    include <string.h>

#    pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,fma,bmi2")
#    pragma GCC target("prefer-vector-width=512")

#    define FT_LANES 16
#    define FT_MOST_PACKED 2
#    define FT_KERNELS ft_cpu_kernels_avx512bf16
#    define FT_KERNELS_NAME "avx512bf16"

#    include "backend/cpu/kernels/table.h"

#else
typedef int ft_cpu_kernels_avx512bf16_not_built; /* ISO C wants a declaration in every file */
#endif
