#include "backend/cuda/driver/kernel_sources.h"

/* The assembler reads the files: their paths are relative to the folder that the compiler runs in,
 * the repository's. */
#define FOLDER "csrc/backend/cuda/kernels/"
#ifdef __APPLE__
#    define SECTION ".section __TEXT,__const\n"
#    define SYMBOL(name) "_" name
#    define HIDDEN ".private_extern "
#    define PREVIOUS ".text\n"
#else
#    define SECTION ".section .rodata\n"
#    define SYMBOL(name) name
#    define HIDDEN ".hidden "
#    define PREVIOUS ".previous\n"
#endif
#define EMBED(name, file)                                                                          \
    __asm__(SECTION ".globl " SYMBOL(name) "\n" HIDDEN SYMBOL(name) "\n" SYMBOL(                   \
        name) ":\n.incbin \"" FOLDER file "\"\n.byte 0\n" PREVIOUS);

#define FT_SOURCE_OF(name)                                                                         \
    EMBED("ft_kernel_source_" #name, #name ".cu")                                                  \
    extern const char ft_kernel_source_##name[] __attribute__((visibility("hidden")));
#define FT_HEADER_OF(name, file)                                                                   \
    EMBED("ft_kernel_header_" #name, file)                                                         \
    extern const char ft_kernel_header_##name[] __attribute__((visibility("hidden")));
#include "backend/cuda/kernels/files.h"

const ft_kernel_text ft_kernel_sources[] = {
#define FT_SOURCE_OF(name) {#name ".cu", ft_kernel_source_##name},
#include "backend/cuda/kernels/files.h"
};

const ft_kernel_text ft_kernel_headers[] = {
#define FT_HEADER_OF(name, file) {file, ft_kernel_header_##name},
#include "backend/cuda/kernels/files.h"
};
