"""What a train step takes from the system once it has warmed up: nothing.

The steps run in a process of their own, under a malloc that knows its callers. ftcore allocates
nothing at all, but for the call's arguments, which come from Python's own allocator. Libraries take
some and give it back within the step, which a caller cannot avoid: oneDNN a table of arguments of
some tens of bytes for each product, and a buffer of some 70 KiB for each that its sgemm does;
libgomp 1.5 KiB that describe the threads of a parallel region. None of it reaches the system: no
page is new.
"""

import json
import os
import shutil
import subprocess

import pytest
from small_run import run, skip_unless_supported

pytestmark = [
    pytest.mark.onednn,
    pytest.mark.skipif(
        "LD_PRELOAD" in os.environ, reason="a sanitizer's malloc keeps what is given back"
    ),
]

COUNTING_MALLOC = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);

static atomic_bool counting;
static atomic_long allocations;

void count_allocations(int on)
{
    if (on)
        allocations = 0;
    counting = on;
}

/* Those by ftcore's extension, mappings included. */
long own_allocations(void)
{
    return allocations;
}

static void count(void *caller)
{
    Dl_info library;
    if (counting && dladdr(caller, &library) && strstr(library.dli_fname, "/_core."))
        allocations++;
}

#define COUNT() count(__builtin_return_address(0))

void *malloc(size_t bytes)
{
    COUNT();
    return __libc_malloc(bytes);
}

void *calloc(size_t n, size_t bytes)
{
    COUNT();
    return __libc_calloc(n, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    COUNT();
    return __libc_realloc(memory, bytes);
}

void *memalign(size_t alignment, size_t bytes)
{
    COUNT();
    return __libc_memalign(alignment, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    COUNT();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **out, size_t alignment, size_t bytes)
{
    COUNT();
    *out = __libc_memalign(alignment, bytes);
    return *out ? 0 : ENOMEM;
}

void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    COUNT();
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}

void *mmap64(void *address, size_t bytes, int protection, int flags, int file, off_t offset)
{
    COUNT();
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}
"""

# Batches of three buckets of 16 tokens are seen first, each with the longest row in it; also two in
# a step: products that add to a gradient are others than those that write it.
STEPS = """
import ctypes, json, resource, sys
from small_run import LONGEST, ROWS, SmallRun

small = SmallRun(sys.argv[1], int(sys.argv[2]))
buckets = [112, 128, 144]
first = [small.batch(end, longest=True) for end in buckets]
others = [small.batch(int(small.rng.integers(end - 15, end + 1))) for end in buckets * 8]
for batch in first:
    small.step(batch, batch)
"""

COUNT = (
    STEPS
    + """
malloc = ctypes.CDLL(None)

def count(steps):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    malloc.count_allocations(1)
    for batches in steps:
        small.step(*batches)
    malloc.count_allocations(0)
    pages = resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
    return [malloc.own_allocations(), pages]

steps = [others[i - 1 : i + 1] if i % 3 else [batch] for i, batch in enumerate(others)]
for batches in steps[:3]:
    small.step(*batches)
print("warm", flush=True)
counted = count(steps[3:])
print("done", flush=True)
larger = [[small.batch(ROWS * LONGEST)]]
print(json.dumps([counted, count(larger)]))
"""
)

GROWTH = (
    STEPS
    + """
def take(steps):
    for _ in range(steps):
        small.step(small.batch(int(small.rng.integers(100, 145))))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

print(json.dumps([take(30), take(200)]))
"""
)


@pytest.fixture(scope="module")
def counting_malloc(tmp_path_factory):
    """A library to be preloaded."""
    compiler = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to build a counting malloc with")
    folder = tmp_path_factory.mktemp("malloc")
    source, library = folder / "malloc.c", folder / "malloc.so"
    source.write_text(COUNTING_MALLOC)
    done = subprocess.run(
        [compiler, "-O1", "-fPIC", "-shared", "-fno-builtin", "-o", library, source],
        capture_output=True,
        text=True,
    )
    if done.returncode or os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip(f"the counting malloc is one for glibc: {done.stderr}")
    return library


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_step_allocates_nothing_and_makes_no_primitives(counting_malloc, precision, threads):
    skip_unless_supported(precision)
    output = run(
        COUNT,
        precision,
        threads,
        LD_PRELOAD=str(counting_malloc),
        ONEDNN_VERBOSE="profile_create",
    )
    warming, _, rest = output.partition("warm\n")
    counted, _, after = rest.partition("done\n")
    assert "create" in warming, "oneDNN does not say what it creates"
    assert counted == ""
    (allocations, pages), (allocations_of_more, pages_of_more) = json.loads(after.splitlines()[-1])
    assert allocations == 0
    assert pages < 16
    assert allocations_of_more > 0
    assert pages_of_more > 16
    assert "create" in after


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_memory_does_not_grow_with_the_number_of_steps(precision):
    skip_unless_supported(precision)
    warm, later = json.loads(run(GROWTH, precision, 2))
    assert later - warm < 512 * 1024
