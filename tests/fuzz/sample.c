#include "sample.h"

#include <string.h>

#include "check.h"

enum {
    UNKNOWN = 1,
    LONG_TOKEN = 300, /* longer than a stretch of hashes in wordpiece.c */
    FAR_ID = INT32_MAX,
    MOST_OVERFLOWING = 256, /* bytes of input */
};

/* The vocabulary of an input that brings none, apart by spaces; two long tokens besides. */
static const char fixed_vocabulary[] =
    "[PAD] [UNK] [CLS] [SEP] [MASK] the un ##aff ##able ##s hello don ##ing strasse "
    "Stra\u00dfe a b c d e s t x y A B ##a ##b ##c ##d ##e ##s ##t ##x ##y ##A ##B ab abc "
    "##ab ##abc 0 1 2 ##0 ##1 ##2 . , ! ? ' - ( ) [ ] $ ^ ` ~ ##. \u00e9 ##\u00e9 \u00fc "
    "##\u00fc \u00df i ##i \u0307 ##\u0307 \u0430 ##\u0430 \u4e2d \u6587 ##\u6587 \u65e5 "
    "\ud55c \u1112 ##\u1161 ##\u11ab \u0915 ##\u093e \U0001d157 ##\U0001d165 \U0001f600 "
    "##\U0001f600 \u200d \ufffd ## #";

static void add_token(sample *sample, const uint8_t *bytes, size_t length)
{
    ft_vocabulary *vocabulary = &sample->vocabulary;
    size_t start = vocabulary->byte_count;
    CHECK(ft_vocabulary_reserve(vocabulary, 1, length) == FT_OK);
    if (length > 0)
        memcpy(vocabulary->own_bytes + start, bytes, length);
    vocabulary->byte_count += length;
    ft_vocabulary_append(vocabulary, start, length, (int32_t)sample->ids++);
}

/* The words of a section, apart by spaces; an empty word is a token too. */
static void add_tokens(sample *sample, input section)
{
    while (section.at < section.end) {
        const uint8_t *stop = memchr(section.at, ' ', (size_t)(section.end - section.at));
        input word = {section.at, stop != NULL ? stop : section.end};
        section.at = stop != NULL ? stop + 1 : section.end;
        size_t length;
        const uint8_t *bytes = strings_add(&sample->strings, &word, &length);
        add_token(sample, bytes, length);
    }
}

static void take_fixed_vocabulary(sample *sample)
{
    const uint8_t *fixed = (const uint8_t *)fixed_vocabulary;
    uint8_t long_token[LONG_TOKEN];
    add_tokens(sample, (input){fixed, fixed + sizeof fixed_vocabulary - 1});
    memset(long_token, 'x', sizeof long_token);
    add_token(sample, long_token, sizeof long_token);
    memset(long_token, '#', 2);
    add_token(sample, long_token, sizeof long_token);
}

static void draw_added(sample *sample, input *in, int count)
{
    input section;
    while (count-- > 0 && input_section(in, &section)) {
        uint8_t flags = input_byte(&section);
        ft_added_token *token = &sample->added[sample->added_count];
        *token = (ft_added_token){
            .id = SAMPLE_FIRST_ADDED + (int32_t)sample->added_count++,
            .single_word = flags & 1,
            .lstrip = flags & 2,
            .rstrip = flags & 4,
            .normalized = flags & 8,
            .special = flags & 16,
        };
        token->bytes = strings_add(&sample->strings, &section, &token->length);
    }
}

/* Adds a row's text of one side: one, or its words; NULL: there is none. */
static void add_text(sample *sample, int side, const input *section)
{
    int64_t *end = &sample->words[side][sample->rows + 1];
    *end = sample->words[side][sample->rows];
    ft_text *texts = sample->texts[side];
    input rest = section != NULL ? *section : (input){0};
    if (section == NULL) {
        texts[(*end)++] = (ft_text){0};
    } else if (!sample->split) {
        texts[*end].bytes = strings_add(&sample->strings, &rest, &texts[*end].length);
        ++*end;
    }
    while (sample->split && rest.at < rest.end && *end < SAMPLE_TEXTS - SAMPLE_ROWS) {
        const uint8_t *stop = memchr(rest.at, '|', (size_t)(rest.end - rest.at));
        input word = {rest.at, stop != NULL ? stop : rest.end};
        rest.at = stop != NULL ? stop + 1 : rest.end;
        texts[*end].bytes = strings_add(&sample->strings, &word, &texts[*end].length);
        ++*end;
    }
}

static void draw_texts(sample *sample, input *in, unsigned pairs)
{
    input section;
    while (sample->rows < SAMPLE_ROWS && input_section(in, &section)) {
        add_text(sample, 0, &section);
        /* Pairs all through, or in two rows of three. */
        bool lone = pairs == 0 || (pairs > 1 && sample->rows % 3 == 1);
        bool paired = !lone && input_section(in, &section);
        add_text(sample, 1, paired ? &section : NULL);
        sample->rows++;
    }
    for (int side = 0; side < 2; side++)
        sample->sides[side] =
            (ft_texts){sample->texts[side], sample->split ? sample->words[side] : NULL};
    if (pairs == 0)
        sample->sides[1] = (ft_texts){0};
}

bool sample_has_second(const sample *sample, int64_t row)
{
    int64_t begin = sample->words[1][row], end = sample->words[1][row + 1];
    return end != begin + 1 || sample->texts[1][begin].bytes != NULL;
}

static void add_piece(ft_template *template, int32_t id, int32_t type)
{
    template->ids[template->count] = id;
    template->types[template->count++] = type;
    template->specials += id >= 0;
}

static void draw_templates(ft_tokenizer_options *options, unsigned kind)
{
    ft_template *single = &options->single, *pair = &options->pair;
    switch (kind) {
    case 0: /* no special tokens */
        add_piece(single, FT_PIECE_FIRST, 0);
        add_piece(pair, FT_PIECE_FIRST, 0);
        add_piece(pair, FT_PIECE_SECOND, 1);
        break;
    case 1: /* the second text first */
        add_piece(single, FT_PIECE_FIRST, 7);
        add_piece(single, FAR_ID, 7);
        add_piece(pair, FT_PIECE_SECOND, 0);
        add_piece(pair, FT_PIECE_FIRST, 0);
        add_piece(pair, FAR_ID, -1);
        break;
    case 2: /* as many pieces as there may be */
        add_piece(single, FT_PIECE_FIRST, 0);
        add_piece(pair, FT_PIECE_FIRST, 0);
        while (single->count < FT_TEMPLATE_PIECES)
            add_piece(single, 4, single->count % 2);
        while (pair->count < FT_TEMPLATE_PIECES - 1)
            add_piece(pair, 3, pair->count % 2);
        add_piece(pair, FT_PIECE_SECOND, 1);
        break;
    default: /* BERT's */
        add_piece(single, 2, 0);
        add_piece(single, FT_PIECE_FIRST, 0);
        add_piece(single, 3, 0);
        add_piece(pair, 2, 0);
        add_piece(pair, FT_PIECE_FIRST, 0);
        add_piece(pair, 3, 0);
        add_piece(pair, FT_PIECE_SECOND, 1);
        add_piece(pair, 3, 1);
    }
}

static void draw_prefix(ft_tokenizer_options *options, unsigned kind)
{
    static const char *const prefixes[] = {"##", "", "\u2581", "a"};
    options->prefix = (const uint8_t *)prefixes[kind];
    options->prefix_length = strlen(prefixes[kind]);
}

void sample_draw(sample *sample, input in)
{
    *sample = (struct sample){.options.unknown = UNKNOWN};
    uint8_t normalizer = input_byte(&in), shape = input_byte(&in), model = input_byte(&in);
    uint8_t max_length = input_byte(&in), longest_word = input_byte(&in);
    uint8_t failing = input_byte(&in), added = input_byte(&in), more = input_byte(&in);

    ft_tokenizer_options *options = &sample->options;
    options->normalizer = (ft_normalizer){
        .clean_text = normalizer & 1,
        .space_cjk = normalizer & 2,
        .strip_accents = normalizer & 4,
        .lowercase = normalizer & 8,
    };
    draw_templates(options, model & 3);
    draw_prefix(options, model >> 2 & 3);
    options->longest_word = longest_word == UINT8_MAX ? SIZE_MAX : longest_word;
    /* Rows of overflow can be as many as the tokens of two texts multiplied. */
    sample->encode = (ft_encode_options){
        .special_tokens = shape & 1,
        .pass_special = more & 32,
        .overflow = more & 16 && in.end - in.at < MOST_OVERFLOWING,
        .truncation =
            {
                .strategy = (ft_truncation_strategy)(shape >> 2 & 3),
                .max_length = max_length == UINT8_MAX ? INT64_MAX : max_length,
                .stride = more & 15,
                .left = shape & 2,
            },
        .threads = 1,
    };
    sample->split = more & 64;
    sample->two_threads = shape & 64;
    sample->failing_allocation = (int)failing - 1;

    input section = {0};
    if (!(model & 16))
        take_fixed_vocabulary(sample);
    else if (input_section(&in, &section))
        add_tokens(sample, section);
    CHECK(ft_vocabulary_finish(&sample->vocabulary) == FT_OK);
    draw_added(sample, &in, added % (SAMPLE_ADDED + 1));
    draw_texts(sample, &in, shape >> 4 & 3);
}

void sample_clear(sample *sample)
{
    ft_vocabulary_clear(&sample->vocabulary);
    strings_clear(&sample->strings);
}
