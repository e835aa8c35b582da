/* How much memory there is to be had: the system promises more, and ends the process when it is
 * written to. */
#ifndef FT_COMMON_AVAILABLE_H
#define FT_COMMON_AVAILABLE_H

#include <stddef.h>

/* The bytes that this process may still take before memory runs out, of the machine or of the
 * control groups (cgroup v1 or v2) that it is in; SIZE_MAX where the system does not say. `root` is
 * the folder that proc and sys are in: "" but in tests. */
size_t ft_memory_available(const char *root);

#endif
