#include "usable.h"

#include <string.h>

#include "check.h"
#include "input.h"
#include "tokenizer/tokenizer.h"

int32_t find_token(const ft_vocabulary *vocabulary, const uint8_t *bytes, size_t length)
{
    static const uint8_t nothing[1];
    uint64_t hash = ft_hash_bytes(FT_HASH_START, bytes, length);
    int32_t id = ft_vocabulary_find(vocabulary, hash, bytes, length, nothing, 0);
    /* In two parts it is the same. */
    size_t head = length / 2;
    CHECK(ft_vocabulary_find(vocabulary, hash, bytes, head, bytes + head, length - head) == id);
    return id;
}

void check_same_vocabulary(const ft_vocabulary *a, const ft_vocabulary *b)
{
    CHECK(a->count == b->count);
    for (size_t i = 0; i < a->count; i++) {
        const ft_token *token = &a->tokens[i];
        CHECK(find_token(b, a->bytes + token->start, token->length) == token->id);
    }
}

static void check_tokens(const ft_vocabulary *vocabulary)
{
    int32_t greatest = -1;
    bool dense = true;
    for (size_t i = 0; i < vocabulary->count; i++) {
        const ft_token *token = ft_vocabulary_in_order(vocabulary, i);
        const uint8_t *bytes = vocabulary->bytes + token->start;
        CHECK(token->id >= greatest);
        greatest = token->id;
        dense = dense && (size_t)token->id == i;
        CHECK(is_utf8(bytes, token->length));
        CHECK(token->length <= vocabulary->longest);
        CHECK(find_token(vocabulary, bytes, token->length) == token->id);
        const ft_token *other = ft_vocabulary_token(vocabulary, token->id);
        CHECK(other != NULL && other->id == token->id);
    }
    CHECK(vocabulary->greatest == greatest);
    CHECK(ft_vocabulary_is_dense(vocabulary) == dense);
    CHECK(ft_vocabulary_token(vocabulary, -1) == NULL);
    CHECK(ft_vocabulary_token(vocabulary, (int64_t)greatest + 1) == NULL);
}

void check_usable(const ft_vocabulary *vocabulary)
{
    static const uint8_t text[] = "the unaffable [MASK] \u00e9\u4e2d a,b";
    ft_tokenizer_options options = {
        .normalizer = {true, true, true, true},
        .prefix = (const uint8_t *)"##",
        .prefix_length = 2,
        .longest_word = 100,
        .single = {.count = 1, .ids = {FT_PIECE_FIRST}},
        .pair = {.count = 2, .ids = {FT_PIECE_FIRST, FT_PIECE_SECOND}},
    };
    ft_tokenizer *tokenizer;
    ft_encoding encoding;
    ft_text row = {text, sizeof text - 1};
    ft_texts first = {&row, NULL}, second = {0};
    ft_encode_options how = {.threads = 1};
    check_tokens(vocabulary);
    CHECK(ft_tokenizer_create(&options, vocabulary, NULL, 0, &tokenizer) == FT_OK);
    CHECK(ft_tokenizer_encode(tokenizer, &first, &second, 1, &how, &encoding) == FT_OK);
    for (int64_t i = 0; i < encoding.rows[0].end; i++) {
        int32_t id = encoding.tokens.ids.data[i];
        CHECK(id == options.unknown || ft_vocabulary_token(vocabulary, id) != NULL);
    }
    ft_encoding_clear(&encoding);
    ft_tokenizer_destroy(tokenizer);
}
