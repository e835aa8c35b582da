/* What took long to make and can be made again is kept on disk for the next process: in the folder
 * $FTCORE_CACHE, or $XDG_CACHE_HOME/ftcore, or ~/.cache/ftcore. A file that cannot be read or
 * written, or whose content is not what was stored, is as good as none: nothing here fails. */
#ifndef FT_BACKEND_CUDA_DRIVER_DISK_CACHE_H
#define FT_BACKEND_CUDA_DRIVER_DISK_CACHE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/sha256.h"

/* What is kept under the digest of all that it was made of: ft_sha256_add each, then
 * ft_sha256_finish. `kind` is a word that begins the file's name: "kernels", "plans". */

/* true: *data is `bytes` long, followed by a zero byte, and for the caller to free(). */
bool ft_disk_cache_load(const char *kind, const ft_digest *key, void **data, size_t *bytes);

/* Written beside and renamed, so that another process sees all of it or nothing. */
void ft_disk_cache_store(const char *kind, const ft_digest *key, const void *data, size_t bytes);

#endif
