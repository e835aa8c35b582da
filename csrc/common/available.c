#include "common/available.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATH_SIZE = 1024, TEXT_SIZE = 16384 };

/* The names of a control group's files, and of what could be taken back, in its statistics. */
typedef struct group_files {
    const char *mount, *limit, *usage, *inactive, *active;
} group_files;

static const group_files version1 = {
    .mount = "/sys/fs/cgroup/memory",
    .limit = "memory.limit_in_bytes",
    .usage = "memory.usage_in_bytes",
    .inactive = "total_inactive_file ",
    .active = "total_active_file ",
};

static const group_files version2 = {
    .mount = "/sys/fs/cgroup",
    .limit = "memory.max",
    .usage = "memory.current",
    .inactive = "inactive_file ",
    .active = "active_file ",
};

/* The beginning of a small file as a string; false where it cannot be read. */
static bool read_text(const char *path, char text[TEXT_SIZE])
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0)
        return false;
    size_t length = 0;
    ssize_t got;
    while (length < TEXT_SIZE - 1 && (got = read(file, text + length, TEXT_SIZE - 1 - length)) > 0)
        length += (size_t)got;
    close(file);
    text[length] = '\0';
    return length > 0;
}

/* The number behind `name` at the beginning of a line. */
static bool find_number(const char *text, const char *name, uint64_t *out)
{
    size_t length = strlen(name);
    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, name, length) == 0)
            return sscanf(line + length, "%" SCNu64, out) == 1;
    }
    return false;
}

static bool read_number(const char *folder, const char *name, uint64_t *out)
{
    char path[PATH_SIZE], text[TEXT_SIZE];
    int length = snprintf(path, sizeof path, "%s/%s", folder, name);
    return length < PATH_SIZE && read_text(path, text) && find_number(text, "", out);
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What the machine can give: free memory, what it can take back, and swap. */
static uint64_t machine_available(const char *root)
{
    char path[PATH_SIZE], text[TEXT_SIZE];
    uint64_t kib, swap = 0;
    int length = snprintf(path, sizeof path, "%s/proc/meminfo", root);
    if (length >= PATH_SIZE || !read_text(path, text) || !find_number(text, "MemAvailable:", &kib))
        return UINT64_MAX;
    find_number(text, "SwapFree:", &swap);
    return (kib + swap) * 1024;
}

/* What a control group has left below its limit, files that it caches not counted. */
static uint64_t group_available(const char *folder, const group_files *files)
{
    uint64_t limit, usage, inactive = 0, active = 0;
    char path[PATH_SIZE], text[TEXT_SIZE];
    if (!read_number(folder, files->limit, &limit) || !read_number(folder, files->usage, &usage))
        return UINT64_MAX;
    if (snprintf(path, sizeof path, "%s/memory.stat", folder) < PATH_SIZE &&
        read_text(path, text)) {
        find_number(text, files->inactive, &inactive);
        find_number(text, files->active, &active);
    }
    usage -= least(usage, inactive + active);
    return limit - least(limit, usage);
}

/* The least of a group and all those that it is in. In a container the path may be that outside of
 * it, which is not there: then the mount itself, where the walk ends, is the container's group. */
static uint64_t groups_available(const char *root, const group_files *files, const char *path)
{
    char folder[PATH_SIZE];
    int mount = snprintf(folder, sizeof folder, "%s%s", root, files->mount);
    if (mount >= PATH_SIZE ||
        snprintf(folder + mount, sizeof folder - (size_t)mount, "%s", path) >= PATH_SIZE - mount)
        return UINT64_MAX;
    uint64_t available = group_available(folder, files);
    for (char *slash; (slash = strrchr(folder + mount, '/')) != NULL;) {
        *slash = '\0';
        available = least(available, group_available(folder, files));
    }
    return available;
}

/* Whether a line of /proc/self/cgroup, "number:controllers:path", is that of the memory controller:
 * by name in version 1, number 0 in version 2, which has one hierarchy for all. */
static const group_files *memory_controller(const char *line, const char *controllers,
                                            const char *path)
{
    if (strncmp(line, "0::", 3) == 0)
        return &version2;
    size_t length = strlen("memory");
    for (const char *at = controllers; at + length < path; at++)
        if (strncmp(at, "memory", length) == 0 && (at[-1] == ':' || at[-1] == ',') &&
            (at[length] == ',' || at[length] == ':'))
            return &version1;
    return NULL;
}

static uint64_t own_groups_available(const char *root)
{
    char path[PATH_SIZE], text[TEXT_SIZE], *rest = NULL;
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= PATH_SIZE ||
        !read_text(path, text))
        return UINT64_MAX;
    uint64_t available = UINT64_MAX;
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        char *controllers = strchr(line, ':'), *group = controllers;
        if (group == NULL || (group = strchr(++controllers, ':')) == NULL)
            continue;
        group++;
        const group_files *files = memory_controller(line, controllers, group);
        if (files != NULL)
            available = least(available, groups_available(root, files, group));
    }
    return available;
}

size_t ft_memory_available(const char *root)
{
    uint64_t available = least(machine_available(root), own_groups_available(root));
    return available < SIZE_MAX ? (size_t)available : SIZE_MAX;
}
