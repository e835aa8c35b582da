/* SHA-256 (FIPS 180-4). */
#ifndef FT_COMMON_SHA256_H
#define FT_COMMON_SHA256_H

#include <stddef.h>
#include <stdint.h>

typedef struct ft_digest {
    uint8_t bytes[32];
} ft_digest;

typedef struct ft_sha256 {
    uint32_t state[8];
    uint64_t length;
    uint8_t block[64];
} ft_sha256;

void ft_sha256_start(ft_sha256 *);
void ft_sha256_add(ft_sha256 *, const void *data, size_t bytes);
ft_digest ft_sha256_finish(ft_sha256 *);

/* A text with its zero, so that no two lists of texts are the same bytes. */
void ft_sha256_add_text(ft_sha256 *, const char *text);

#endif
