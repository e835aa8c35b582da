/* A backend that hands every operation to another one and adds up the time that it took. */
#ifndef FT_BACKEND_PROFILE_H
#define FT_BACKEND_PROFILE_H

#include "backend/backend.h"

/* What one operation took, products apart by shape. */
typedef struct ft_profile_entry {
    const char *operation;
    int32_t rows, in, out; /* of a product; 0 otherwise */
    uint64_t calls;
    double seconds;
} ft_profile_entry;

/* Takes over `inner`, in success and in failure. The new backend has its name. */
ft_status ft_backend_profile_create(ft_backend *inner, ft_backend **out);

/* The entries so far, in the order in which they were first needed; *count of them. They are the
 * backend's, which must be one of ft_backend_profile_create. */
const ft_profile_entry *ft_backend_profile_entries(const ft_backend *, size_t *count);

#endif
