/* What runs a target where the compiler has no libFuzzer:
 *
 *     target FAILURE SECONDS FILE...
 *
 * gives it the files, then mutations of them, always the same ones, for so many seconds. The input
 * at work is kept in FAILURE, where it can be found after a crash; in the end it is removed.
 *
 *     target FAILURE
 *
 * gives it that input. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

enum { LONGEST = 4096, MUTATIONS = 6, TOO_LONG_SECONDS = 60 };

typedef struct text {
    uint8_t bytes[LONGEST];
    size_t length;
} text;

static int failure; /* the file */

static uint32_t random_below(size_t limit)
{
    static uint64_t state = 1;
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((state >> 33) % limit);
}

static void run(const text *input)
{
    /* Exactly as long as the input, so that the sanitizer sees the first byte beyond. */
    uint8_t *copy = malloc(input->length);
    CHECK(copy != NULL);
    memcpy(copy, input->bytes, input->length);
    alarm(TOO_LONG_SECONDS);
    LLVMFuzzerTestOneInput(copy, input->length);
    free(copy);
}

static void run_kept(const text *input)
{
    CHECK(ftruncate(failure, 0) == 0);
    CHECK(pwrite(failure, input->bytes, input->length, 0) == (ssize_t)input->length);
    run(input);
}

static void read_input(const char *path, text *out)
{
    FILE *file = fopen(path, "rb");
    CHECK(file != NULL);
    out->length = fread(out->bytes, 1, LONGEST, file);
    fclose(file);
}

/* Puts bytes in place of text[at..at + taken], as far as there is room. */
static void replace(text *out, size_t at, size_t taken, const uint8_t *bytes, size_t count)
{
    size_t rest = out->length - at - taken;
    if (at + count + rest > LONGEST)
        return;
    memmove(out->bytes + at + count, out->bytes + at + taken, rest);
    memcpy(out->bytes + at, bytes, count);
    out->length = at + count + rest;
}

/* A stretch of a text: mostly short. */
static size_t draw_stretch(const text *from, size_t *at)
{
    *at = random_below(from->length + 1);
    size_t rest = from->length - *at, most = (size_t)1 << random_below(10);
    return random_below((rest < most ? rest : most) + 1);
}

static void mutate(text *out, const text *other)
{
    static const uint8_t telling[] = {0,    1,    0x7F, 0x80, 0xC2, 0xED,
                                      0xF4, 0xFF, ' ',  '"',  '\\', '\n'};
    uint8_t byte = (uint8_t)random_below(256);
    text copy = *out;
    size_t at, from, count;
    switch (random_below(6)) {
    case 0: /* another byte */
        if (out->length > 0)
            out->bytes[random_below(out->length)] ^= (uint8_t)(1u << random_below(8));
        break;
    case 1:
        byte = telling[random_below(sizeof telling)];
        /* fall through */
    case 2: /* a byte more, or instead */
        at = random_below(out->length + 1);
        replace(out, at, at < out->length && random_below(2), &byte, 1);
        break;
    case 3: /* a stretch less */
        count = draw_stretch(out, &at);
        replace(out, at, count, copy.bytes, 0);
        break;
    case 4: /* a stretch once more */
        count = draw_stretch(out, &from);
        replace(out, random_below(out->length + 1), 0, copy.bytes + from, count);
        break;
    default: /* a stretch of another text, more or instead */
        count = draw_stretch(other, &from);
        at = random_below(out->length + 1);
        replace(out, at, random_below(out->length - at + 1), other->bytes + from, count);
    }
}

static void fuzz(long seconds, char **files, size_t count)
{
    long runs = 0;
    time_t stop = time(NULL) + seconds;
    text *inputs = malloc(count * sizeof *inputs), input;
    CHECK(inputs != NULL);
    for (size_t i = 0; i < count; i++, runs++) {
        read_input(files[i], &inputs[i]);
        run_kept(&inputs[i]);
    }
    for (; time(NULL) < stop; runs++) {
        input = inputs[random_below(count)];
        for (uint32_t i = random_below(MUTATIONS) + 1; i > 0; i--)
            mutate(&input, &inputs[random_below(count)]);
        run_kept(&input);
    }
    free(inputs);
    fprintf(stderr, "Done %ld runs\n", runs);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2 || argc > 3);
    if (argc == 2) {
        text input;
        read_input(argv[1], &input);
        run(&input);
        return 0;
    }
    failure = open(argv[1], O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    CHECK(failure >= 0);
    fuzz(atol(argv[2]), argv + 3, (size_t)argc - 3);
    unlink(argv[1]);
    return 0;
}
