#include "backend/cuda/driver/disk_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct header {
    char magic[8];
    uint64_t bytes;
    ft_digest digest; /* of the content */
} header;

static const char MAGIC[8] = {'f', 't', 'c', 'a', 'c', 'h', 'e', '1'};

static bool set_folder(char folder[PATH_MAX])
{
    const char *own = getenv("FTCORE_CACHE"), *caches = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    int length;
    if (own != NULL && own[0] != '\0')
        length = snprintf(folder, PATH_MAX, "%s", own);
    else if (caches != NULL && caches[0] == '/') /* others are to be ignored, says its standard */
        length = snprintf(folder, PATH_MAX, "%s/ftcore", caches);
    else if (home != NULL && home[0] != '\0')
        length = snprintf(folder, PATH_MAX, "%s/.cache/ftcore", home);
    else
        return false;
    return length < PATH_MAX;
}

static bool set_path(const char *folder, const char *kind, const ft_digest *key,
                     char path[PATH_MAX])
{
    char hex[2 * sizeof key->bytes + 1];
    for (size_t i = 0; i < sizeof key->bytes; i++)
        snprintf(hex + 2 * i, 3, "%02x", key->bytes[i]);
    return snprintf(path, PATH_MAX, "%s/%s-%s", folder, kind, hex) < PATH_MAX;
}

static ft_digest digest_of(const void *data, size_t bytes)
{
    ft_sha256 h;
    ft_sha256_start(&h);
    ft_sha256_add(&h, data, bytes);
    return ft_sha256_finish(&h);
}

static bool read_all(int file, void *to, size_t bytes)
{
    while (bytes > 0) {
        ssize_t got = read(file, to, bytes);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        to = (char *)to + got;
        bytes -= (size_t)got;
    }
    return true;
}

static bool write_all(int file, const void *from, size_t bytes)
{
    while (bytes > 0) {
        ssize_t put = write(file, from, bytes);
        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return false;
        from = (const char *)from + put;
        bytes -= (size_t)put;
    }
    return true;
}

static void *read_content(int file, size_t *bytes)
{
    struct stat status;
    header h;
    if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode) || !read_all(file, &h, sizeof h) ||
        memcmp(h.magic, MAGIC, sizeof MAGIC) != 0 || h.bytes != (uint64_t)status.st_size - sizeof h)
        return NULL;
    char *content = malloc(h.bytes + 1);
    if (content == NULL)
        return NULL;
    bool whole = read_all(file, content, h.bytes);
    ft_digest digest;
    if (whole)
        digest = digest_of(content, h.bytes);
    if (!whole || memcmp(&digest, &h.digest, sizeof digest) != 0) {
        free(content);
        return NULL;
    }
    content[h.bytes] = '\0';
    *bytes = h.bytes;
    return content;
}

bool ft_disk_cache_load(const char *kind, const ft_digest *key, void **data, size_t *bytes)
{
    char folder[PATH_MAX], path[PATH_MAX];
    *data = NULL;
    if (!set_folder(folder) || !set_path(folder, kind, key, path))
        return false;
    /* Not to wait for a writer where the name is a pipe's. */
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file < 0)
        return false;
    *data = read_content(file, bytes);
    close(file);
    return *data != NULL;
}

static void make_folders(char *folder)
{
    for (char *slash = folder + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(folder, 0700);
        *slash = '/';
    }
    mkdir(folder, 0700);
}

void ft_disk_cache_store(const char *kind, const ft_digest *key, const void *data, size_t bytes)
{
    static atomic_uint stores;
    char folder[PATH_MAX], path[PATH_MAX], beside[PATH_MAX];
    if (!set_folder(folder) || !set_path(folder, kind, key, path) ||
        snprintf(beside, sizeof beside, "%s.%ld.%u", path, (long)getpid(),
                 atomic_fetch_add(&stores, 1)) >= (int)sizeof beside)
        return;
    make_folders(folder);
    int file = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0)
        return;
    header h = {.bytes = bytes, .digest = digest_of(data, bytes)};
    memcpy(h.magic, MAGIC, sizeof MAGIC);
    bool whole = write_all(file, &h, sizeof h) && write_all(file, data, bytes);
    if (close(file) < 0 || !whole || rename(beside, path) < 0)
        unlink(beside);
}
