/* What the CPU backend computes with on this machine, for reports. */
#ifndef FT_BACKEND_CPU_DESCRIPTION_H
#define FT_BACKEND_CPU_DESCRIPTION_H

#include "backend/cpu/cpu.h"

typedef struct ft_cpu_description {
    int threads;
    bool bfloat16;                             /* whether products in bfloat16 are faster here */
    const char *kernels;                       /* those that are used */
    const char *available[FT_CPU_KERNEL_SETS]; /* those that this processor runs, best first */
    int available_count;
    int onednn_version[3];
    char onednn_path[4096]; /* the file it was loaded from; "": not known */
} ft_cpu_description;

/* Of a backend made for this; refused as making one is. */
ft_status ft_cpu_describe(ft_cpu_description *out);

#endif
