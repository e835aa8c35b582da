/* A small matrix product whose operands fit a core's cache, as attention needs for each head. */
#ifndef FT_BACKEND_CPU_KERNELS_PRODUCT_H
#define FT_BACKEND_CPU_KERNELS_PRODUCT_H

#include <stdbool.h>

#include "backend/cpu/kernels/elements.h"

/* The tile of c that is held in registers: 6 x 4 vectors of 32 registers, or 6 x 2 of 16. */
enum { FT_TILE_ROWS = 6, FT_TILE_VECTORS = FT_LANES == 16 ? 4 : 2 };

/* Lane [i, k] of a is a.at[i * a.row + k * a.column]: a matrix or its transpose. */
typedef struct left_operand {
    const float *at;
    size_t row, column;
} left_operand;

/* sum + the products of one lane, for all lanes of right, with right's. */
BODY ft_vf multiply_add(const int packed, ft_vf sum, const float *left, ft_vf right)
{
#if FT_MOST_PACKED == 2
    if (packed == 2) {
        __m512i pair = _mm512_set1_epi32(*(const ft_i32_any *)left);
        return (ft_vf)_mm512_dpbf16_ps((__m512)sum, (__m512bh)pair, (__m512bh)right);
    }
#endif
    (void)packed;
    return sum + set1(*left) * right;
}

/* c[0..rows, 0..vectors * FT_LANES] = (c +) a b. Both bounds are constants wherever this is
 * inlined, so that the sums live in registers. */
BODY void tile(const int packed, const int rows, const int vectors, size_t depth, left_operand a,
               const float *b, size_t b_row, float *c, size_t c_row, bool add)
{
    ft_vf sums[FT_TILE_ROWS][FT_TILE_VECTORS];
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            sums[i][j] = (ft_vf){0};
    for (size_t k = 0; k < depth; k++) {
        ft_vf right[FT_TILE_VECTORS];
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++)
            right[j] = load(b + k * b_row + (size_t)j * FT_LANES);
#pragma GCC unroll 6
        for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
            for (int j = 0; j < vectors; j++)
                sums[i][j] = multiply_add(packed, sums[i][j],
                                          &a.at[(size_t)i * a.row + k * a.column], right[j]);
    }
#pragma GCC unroll 6
    for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
        for (int j = 0; j < vectors; j++) {
            float *to = c + (size_t)i * c_row + (size_t)j * FT_LANES;
            if (add)
                sums[i][j] += load(to);
            store(to, sums[i][j]);
        }
}

#define FT_TILE_CASE(rows_)                                                                        \
case rows_:                                                                                        \
    tile(packed, rows_, vectors, depth, a, b, b_row, c, c_row, add);                               \
    break;

BODY void tile_column(const int packed, int rows, const int vectors, size_t depth, left_operand a,
                      const float *b, size_t b_row, float *c, size_t c_row, bool add)
{
    for (; rows >= FT_TILE_ROWS; rows -= FT_TILE_ROWS) {
        tile(packed, FT_TILE_ROWS, vectors, depth, a, b, b_row, c, c_row, add);
        a.at += FT_TILE_ROWS * a.row;
        c += FT_TILE_ROWS * c_row;
    }
    switch (rows) {
        FT_TILE_CASE(5)
        FT_TILE_CASE(4)
        FT_TILE_CASE(3)
        FT_TILE_CASE(2)
        FT_TILE_CASE(1)
    }
}

/* c [rows, columns] = (c +) a [rows, depth] b [depth, columns]; depth counts lanes. Packed by two,
 * columns are whole vectors. */
BODY void product_body(const int packed, int rows, int columns, size_t depth, left_operand a,
                       const float *b, size_t b_row, float *c, size_t c_row, bool add)
{
    int j = 0;
    for (; j + FT_TILE_VECTORS * FT_LANES <= columns; j += FT_TILE_VECTORS * FT_LANES)
        tile_column(packed, rows, FT_TILE_VECTORS, depth, a, b + j, b_row, c + j, c_row, add);
#if FT_LANES == 16
    if (j + 3 * FT_LANES <= columns) {
        tile_column(packed, rows, 3, depth, a, b + j, b_row, c + j, c_row, add);
        j += 3 * FT_LANES;
    } else if (j + 2 * FT_LANES <= columns) {
        tile_column(packed, rows, 2, depth, a, b + j, b_row, c + j, c_row, add);
        j += 2 * FT_LANES;
    }
#endif
    if (j + FT_LANES <= columns) {
        tile_column(packed, rows, 1, depth, a, b + j, b_row, c + j, c_row, add);
        j += FT_LANES;
    }
    for (int i = 0; i < rows && packed == 1; i++) /* few head dimensions come here */
        for (int rest = j; rest < columns; rest++) {
            float sum = add ? c[(size_t)i * c_row + (size_t)rest] : 0;
            for (size_t k = 0; k < depth; k++)
                sum += a.at[(size_t)i * a.row + k * a.column] * b[k * b_row + (size_t)rest];
            c[(size_t)i * c_row + (size_t)rest] = sum;
        }
}

static void product_of_singles(int rows, int columns, size_t depth, left_operand a, const float *b,
                               size_t b_row, float *c, size_t c_row, bool add)
{
    product_body(1, rows, columns, depth, a, b, b_row, c, c_row, add);
}

#if FT_MOST_PACKED == 2
static void product_of_pairs(int rows, int columns, size_t depth, left_operand a, const float *b,
                             size_t b_row, float *c, size_t c_row, bool add)
{
    product_body(2, rows, columns, depth, a, b, b_row, c, c_row, add);
}
#endif

BODY void product(const int packed, int rows, int columns, size_t depth, left_operand a,
                  const float *b, size_t b_row, float *c, size_t c_row, bool add)
{
#if FT_MOST_PACKED == 2
    if (packed == 2) {
        product_of_pairs(rows, columns, depth, a, b, b_row, c, c_row, add);
        return;
    }
#endif
    (void)packed;
    product_of_singles(rows, columns, depth, a, b, b_row, c, c_row, add);
}

/* One lane, which need not hold a float. */
static inline void move(const float *from, float *to)
{
    *(ft_i32_any *)to = *(const ft_i32_any *)from;
}

/* to [columns, to_row] = the transpose of from [rows, columns], whose rows are from_row apart; to's
 * columns from `rows` on are zeroed up to a whole number of vectors. */
static void transpose(int rows, int columns, const float *from, size_t from_row, float *to,
                      size_t to_row)
{
    int i = 0;
    for (; i + 4 <= rows; i += 4) {
        const float *block = from + (size_t)i * from_row;
        int j = 0;
        for (; j + 4 <= columns; j += 4) {
            ft_v4_unaligned r0 = *(const ft_v4_unaligned *)(block + j);
            ft_v4_unaligned r1 = *(const ft_v4_unaligned *)(block + from_row + j);
            ft_v4_unaligned r2 = *(const ft_v4_unaligned *)(block + 2 * from_row + j);
            ft_v4_unaligned r3 = *(const ft_v4_unaligned *)(block + 3 * from_row + j);
            ft_v4_unaligned a = SHUFFLE(ft_vi4, r0, r1, 0, 4, 1, 5);
            ft_v4_unaligned b = SHUFFLE(ft_vi4, r2, r3, 0, 4, 1, 5);
            ft_v4_unaligned c = SHUFFLE(ft_vi4, r0, r1, 2, 6, 3, 7);
            ft_v4_unaligned d = SHUFFLE(ft_vi4, r2, r3, 2, 6, 3, 7);
            float *at = to + (size_t)j * to_row + i;
            *(ft_v4_unaligned *)at = SHUFFLE(ft_vi4, a, b, 0, 1, 4, 5);
            *(ft_v4_unaligned *)(at + to_row) = SHUFFLE(ft_vi4, a, b, 2, 3, 6, 7);
            *(ft_v4_unaligned *)(at + 2 * to_row) = SHUFFLE(ft_vi4, c, d, 0, 1, 4, 5);
            *(ft_v4_unaligned *)(at + 3 * to_row) = SHUFFLE(ft_vi4, c, d, 2, 3, 6, 7);
        }
        for (; j < columns; j++)
            for (int k = 0; k < 4; k++)
                move(block + (size_t)k * from_row + j, to + (size_t)j * to_row + i + k);
    }
    for (; i < rows; i++)
        for (int j = 0; j < columns; j++)
            move(from + (size_t)i * from_row + j, to + (size_t)j * to_row + i);
    size_t rest = whole_vectors((size_t)rows) - (size_t)rows;
    for (int j = 0; j < columns && rest; j++)
        memset(to + (size_t)j * to_row + rows, 0, rest * sizeof *to);
}

#endif
