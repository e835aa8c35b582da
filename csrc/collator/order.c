#include "collator/order.h"

#include <inttypes.h>

/* MT19937 (Matsumoto, Nishimura: "Mersenne Twister", ACM TOMACS 8, 1998), seeded by one number. */
enum { STATE = 624, SHIFT = 397 };

typedef struct twister {
    uint32_t state[STATE];
    int next;
} twister;

static void twister_seed(twister *t, uint32_t seed)
{
    t->state[0] = seed;
    for (uint32_t i = 1; i < STATE; i++)
        t->state[i] = 1812433253u * (t->state[i - 1] ^ (t->state[i - 1] >> 30)) + i;
    t->next = STATE;
}

static void twister_refill(twister *t)
{
    uint32_t *s = t->state;
    for (int i = 0; i < STATE; i++) {
        uint32_t y = (s[i] & 0x80000000u) | (s[(i + 1) % STATE] & 0x7fffffffu);
        s[i] = s[(i + SHIFT) % STATE] ^ (y >> 1) ^ (y & 1 ? 0x9908b0dfu : 0);
    }
    t->next = 0;
}

static uint32_t twister_draw(twister *t)
{
    if (t->next == STATE)
        twister_refill(t);
    uint32_t y = t->state[t->next++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9d2c5680u;
    y ^= (y << 15) & 0xefc60000u;
    return y ^ (y >> 18);
}

ft_status ft_shuffled_order(int64_t count, uint64_t seed, int64_t *out)
{
    FT_RETURN_IF(count < 0, FT_ERROR_VALUE, "count must not be negative, got %" PRId64, count);
    FT_RETURN_IF(count >= FT_ORDER_LIMIT, FT_ERROR_VALUE,
                 "cannot shuffle %" PRId64 " rows: the limit is %" PRId64, count,
                 FT_ORDER_LIMIT - 1);
    twister t;
    twister_seed(&t, (uint32_t)seed);
    for (int64_t i = 0; i < count; i++)
        out[i] = i;
    for (int64_t i = 0; i + 1 < count; i++) {
        int64_t other = i + twister_draw(&t) % (uint32_t)(count - i), kept = out[i];
        out[i] = out[other];
        out[other] = kept;
    }
    return FT_OK;
}
