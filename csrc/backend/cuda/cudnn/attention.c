#include <math.h>

#include "backend/cuda/behind.h"
#include "backend/cuda/cudnn/context.h"
#include "backend/cuda/kernels/pad.h"
#include "backend/cuda/launch.h"

enum {
    ELEMENT = 2,      /* bytes: precisions are 16-bit */
    LENGTH_STEP = 64, /* lengths are rounded up to it, so that there are few plans */
    SEED_AT = 0,
    OFFSET_AT = 16,
    SEED_BYTES = 32, /* of the variable with dropout's key */
};

/* ---- what is taken ---- */

/* Of a GPU newer than Hopper cuDNN is asked, with the least of such operands, forward and backward:
 * NVRTC, by which it compiles, may be too old for it. */
static bool has_plans(const ft_cuda *cuda, const ft_attention *a)
{
    if (ft_cudnn_attends_surely(cuda->capability))
        return true;
    ft_cudnn *c = cuda->cudnn;
    signed char *known = &c->attention[a->precision == FT_FLOAT16][a->head_dim / 8];
    for (int backward = 0; *known == 0 && backward < 2; backward++) {
        const ft_cudnn_plan *plan;
        const ft_cudnn_attention_shape shape = {
            .precision = a->precision,
            .backward = backward,
            .sequences = 1,
            .heads = a->heads,
            .length = LENGTH_STEP,
            .head_dim = a->head_dim,
            .q_stride = a->heads * a->head_dim,
            .kv_stride = a->heads * a->head_dim,
            .dropout = 0.1f,
        };
        if (ft_cudnn_plan_find(&c->plans, &shape, &plan) != FT_OK)
            *known = -1;
    }
    if (*known == 0)
        *known = 1;
    return *known > 0;
}

bool ft_cudnn_takes_attention(const ft_cuda *cuda, const ft_attention *a)
{
    return a->precision != FT_FLOAT32 && !a->first_only && !a->layout->first_masked &&
           ft_cudnn_attends(cuda->capability) && a->head_dim % 8 == 0 &&
           a->head_dim <= FT_CUDNN_MOST_HEAD_DIM && a->layout->tokens > 0 && has_plans(cuda, a);
}

static int32_t padded_length(const ft_layout *l)
{
    return (l->max_length + LENGTH_STEP - 1) / LENGTH_STEP * LENGTH_STEP;
}

/* ---- what forward keeps for backward ---- */

typedef struct state {
    float *statistics;                         /* [sequences, heads, padded length] */
    int *lengths;                              /* [sequences] */
    int *q_offsets, *kv_offsets, *out_offsets; /* [sequences + 1] */
    size_t bytes;
} state;

static state state_at(void *memory, const ft_attention *a)
{
    size_t sequences = (size_t)a->layout->sequences;
    size_t statistics =
        ft_cudnn_part(sequences * a->heads * padded_length(a->layout) * sizeof(float));
    size_t numbers = ft_cudnn_part((sequences + 1) * sizeof(int));
    char *at = memory;
    state s = {.statistics = (float *)at, .bytes = statistics + 4 * numbers};
    if (memory != NULL) {
        s.lengths = (int *)(at + statistics);
        s.q_offsets = (int *)(at + statistics + numbers);
        s.kv_offsets = (int *)(at + statistics + 2 * numbers);
        s.out_offsets = (int *)(at + statistics + 3 * numbers);
    }
    return s;
}

size_t ft_cudnn_attention_state(const ft_cuda *cuda, const ft_attention *a)
{
    (void)cuda;
    return state_at(NULL, a).bytes;
}

/* ---- packed rows and dense ones ---- */

/* q, k and v, or their gradients; packed or dense. */
typedef struct triple {
    char *q, *k, *v;
    int32_t q_stride, kv_stride;
} triple;

/* Columns that lie side by side. */
typedef struct block {
    char *packed, *dense;
    int32_t stride, columns;
} block;

/* Whether q, k and v are the thirds of rows of one matrix. */
static bool side_by_side(const ft_attention *a, const triple *t)
{
    size_t row = (size_t)a->heads * a->head_dim * ELEMENT;
    return t->k == t->q + row && t->v == t->k + row && t->q_stride == t->kv_stride;
}

/* Dense ones from `at` on; together: as thirds of rows of one matrix too. */
static triple dense_triple(const ft_attention *a, bool together, char *at)
{
    int32_t columns = a->heads * a->head_dim;
    size_t row = (size_t)columns * ELEMENT;
    size_t apart = together ? row : row * a->layout->sequences * padded_length(a->layout);
    int32_t stride = together ? 3 * columns : columns;
    return (triple){at, at + apart, at + 2 * apart, stride, stride};
}

/* As one block or as three; how many. */
static int blocks_of(const ft_attention *a, bool together, const triple *packed,
                     const triple *dense, block blocks[3])
{
    int32_t columns = a->heads * a->head_dim;
    if (together) {
        blocks[0] = (block){packed->q, dense->q, packed->q_stride, 3 * columns};
        return 1;
    }
    blocks[0] = (block){packed->q, dense->q, packed->q_stride, columns};
    blocks[1] = (block){packed->k, dense->k, packed->kv_stride, columns};
    blocks[2] = (block){packed->v, dense->v, packed->kv_stride, columns};
    return 3;
}

static block out_block(const ft_attention *a, const void *packed, char *dense)
{
    int32_t columns = a->heads * a->head_dim;
    return (block){(char *)packed, dense, columns, columns};
}

/* Whether rows, `stride` elements apart, may be read and written sixteen bytes at a time. */
static bool is_vector(const void *rows, int32_t stride)
{
    return (uintptr_t)rows % 16 == 0 && stride % 8 == 0;
}

static ft_status move_of(ft_cuda *cuda, const ft_attention *a, const block *b,
                         ft_pad_arguments *out)
{
    *out = (ft_pad_arguments){
        .packed = b->packed,
        .dense = b->dense,
        .cu_seqlens = a->layout->cu_seqlens,
        .stride = b->stride,
        .columns = b->columns,
        .length = padded_length(a->layout),
        .vector = is_vector(b->packed, b->stride),
    };
    return ft_cuda_layout_variable(cuda, a->layout, &out->layout);
}

/* pad_rows or unpad_rows, which zeroes the rows behind the tokens too. */
static ft_status record_moves(ft_cuda *cuda, const ft_attention *a, ft_kernel kernel,
                              const block *blocks, int count)
{
    uint32_t behind = kernel == FT_KERNEL_unpad_rows;
    for (int i = 0; i < count; i++) {
        ft_pad_arguments arguments;
        FT_FORWARD(move_of(cuda, a, &blocks[i], &arguments));
        const ft_launch launch = {
            .kernel = kernel,
            .precision = a->precision,
            .grid = {(uint32_t)arguments.length, (uint32_t)a->layout->sequences + behind, 1},
            .block = {FT_PAD_THREADS, 1, 1},
            .arguments = &arguments,
            .size = sizeof arguments,
        };
        FT_FORWARD(ft_cuda_launch(cuda, &launch));
    }
    return FT_OK;
}

static ft_status pad(ft_cuda *cuda, const ft_attention *a, const block *blocks, int count)
{
    return record_moves(cuda, a, FT_KERNEL_pad_rows, blocks, count);
}

static ft_status unpad(ft_cuda *cuda, const ft_attention *a, const block *blocks, int count)
{
    return record_moves(cuda, a, FT_KERNEL_unpad_rows, blocks, count);
}

static ft_status zero_behind(ft_cuda *cuda, const ft_attention *a, const block *blocks, int count)
{
    for (int i = 0; i < count; i++) {
        ft_cuda_behind behind = {.precision = a->precision, .count = a->layout->rows};
        FT_FORWARD(move_of(cuda, a, &blocks[i], &behind.rows));
        FT_FORWARD(ft_cuda_zero_behind(cuda, &behind));
    }
    return FT_OK;
}

/* What cuDNN wants to know of the sequences; and zeros behind the tokens where it writes packed
 * rows of out: finite values are all that is asked of them, so they may as well be written before.
 */
static ft_status begin(ft_cuda *cuda, const ft_attention *a, bool ragged, const state *s)
{
    enum { ROWS = 64 }; /* that are zeroed at a time */
    int32_t width = a->heads * a->head_dim;
    ft_attention_begin_arguments arguments = {
        .cu_seqlens = a->layout->cu_seqlens,
        .lengths = s->lengths,
        .q_offsets = s->q_offsets,
        .kv_offsets = s->kv_offsets,
        .out_offsets = s->out_offsets,
        .out = a->out,
        .sequences = a->layout->sequences,
        .q_width = a->q_stride,
        .kv_width = a->kv_stride,
        .out_width = width,
        .vector = is_vector(a->out, width),
    };
    FT_FORWARD(ft_cuda_layout_variable(cuda, a->layout, &arguments.layout));
    return ft_cuda_launch_line(cuda, FT_KERNEL_attention_begin, a->precision, ragged ? 1 + ROWS : 1,
                               FT_PAD_THREADS, &arguments, sizeof arguments);
}

/* ---- the plan and its operands ---- */

typedef struct run {
    bool ragged;
    bool together; /* q, k and v are moved as one block, and so are their gradients */
    const ft_cudnn_plan *plan;
    state kept;
    triple packed, used; /* q, k, v: as given, and as cuDNN sees them */
    ft_cudnn_call call;
} run;

/* Offsets are of 32 bits; where rows are dense, theirs are cuDNN's own affair. */
static bool is_ragged(const ft_cuda *cuda, const ft_attention *a)
{
    int32_t columns = a->heads * a->head_dim;
    int64_t widest = a->q_stride > a->kv_stride ? a->q_stride : a->kv_stride;
    return a->layout->rows * widest <= INT32_MAX &&
           ft_cudnn_attends_ragged(cuda->capability, cuda->cudnn->library.version,
                                   a->q_stride != columns || a->kv_stride != columns);
}

/* written: the gradients, backward; NULL forward. */
static ft_status prepare(ft_cuda *cuda, const ft_attention *a, const triple *written, run *r)
{
    FT_RETURN_IF(!ft_cudnn_takes_attention(cuda, a), FT_ERROR_VALUE,
                 "cuDNN does not take this attention");
    int32_t columns = a->heads * a->head_dim;
    r->kept = state_at(a->lse, a);
    r->packed = (triple){(char *)a->q, (char *)a->k, (char *)a->v, a->q_stride, a->kv_stride};
    r->used = r->packed;
    r->ragged = is_ragged(cuda, a);
    r->together = side_by_side(a, &r->packed) && (written == NULL || side_by_side(a, written));
    int32_t dense_stride = r->together ? 3 * columns : columns;
    const ft_cudnn_attention_shape shape = {
        .precision = a->precision,
        .backward = written != NULL,
        .ragged = r->ragged,
        .sequences = a->layout->sequences,
        .heads = a->heads,
        .length = padded_length(a->layout),
        .head_dim = a->head_dim,
        .q_stride = r->ragged ? a->q_stride : dense_stride,
        .kv_stride = r->ragged ? a->kv_stride : dense_stride,
        .dropout = a->dropout.p,
    };
    FT_FORWARD(ft_cudnn_plan_find(&cuda->cudnn->plans, &shape, &r->plan));
    r->call.plan = r->plan->descriptor;
    return FT_OK;
}

/* A step of splitmix64: every bit of the result depends on every bit of x. */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

/* cuDNN's generator counts from `offset` under one seed: each dropout has a seed of its own. */
static ft_status add_seed(ft_cuda *cuda, const ft_dropout *d, ft_cudnn_call *call)
{
    uint64_t place = (uint64_t)d->step << 32 | (uint64_t)d->site << 16 | d->micro_step;
    uint64_t key[SEED_BYTES / sizeof(uint64_t)] = {mix(mix(d->seed) ^ place)};
    const void *device;
    FT_FORWARD(ft_cuda_variable(cuda, key, sizeof key, &device));
    ft_cudnn_call_operand(call, FT_ATTENTION_SEED, (const char *)device + SEED_AT);
    ft_cudnn_call_operand(call, FT_ATTENTION_SEED_OFFSET, (const char *)device + OFFSET_AT);
    return FT_OK;
}

static ft_status add_operands(ft_cuda *cuda, const ft_attention *a, run *r, const void *out)
{
    ft_cudnn_call *call = &r->call;
    ft_cudnn_call_operand(call, FT_ATTENTION_Q, r->used.q);
    ft_cudnn_call_operand(call, FT_ATTENTION_K, r->used.k);
    ft_cudnn_call_operand(call, FT_ATTENTION_V, r->used.v);
    ft_cudnn_call_operand(call, FT_ATTENTION_OUT, out);
    ft_cudnn_call_operand(call, FT_ATTENTION_STATISTICS, r->kept.statistics);
    ft_cudnn_call_operand(call, FT_ATTENTION_Q_LENGTHS, r->kept.lengths);
    ft_cudnn_call_operand(call, FT_ATTENTION_KV_LENGTHS, r->kept.lengths);
    if (r->ragged) {
        ft_cudnn_call_operand(call, FT_ATTENTION_Q_OFFSETS, r->kept.q_offsets);
        ft_cudnn_call_operand(call, FT_ATTENTION_KV_OFFSETS, r->kept.kv_offsets);
        ft_cudnn_call_operand(call, FT_ATTENTION_OUT_OFFSETS, r->kept.out_offsets);
    }
    return a->dropout.p > 0 ? add_seed(cuda, &a->dropout, call) : FT_OK;
}

static void add_values(const ft_attention *a, ft_cudnn_call *call)
{
    ft_cudnn_call_value(call, FT_ATTENTION_SCALE, 1.0f / sqrtf((float)a->head_dim));
    ft_cudnn_call_value(call, FT_ATTENTION_MASKED, -INFINITY);
    if (a->dropout.p > 0)
        ft_cudnn_call_value(call, FT_ATTENTION_KEEP_SCALE, 1.0f / (1.0f - a->dropout.p));
}

/* Bytes of one matrix of dense rows. */
static size_t dense_bytes(const ft_attention *a)
{
    return ft_cudnn_part((size_t)a->layout->sequences * padded_length(a->layout) * a->heads *
                         a->head_dim * ELEMENT);
}

/* ---- forward ---- */

ft_status ft_cudnn_attention_forward(ft_cuda *cuda, const ft_attention *a)
{
    run r = {0};
    FT_FORWARD(prepare(cuda, a, NULL, &r));
    size_t workspace = ft_cudnn_part((size_t)r.plan->workspace);
    size_t dense = r.ragged ? 0 : dense_bytes(a);
    char *scratch = NULL, *out = a->out;
    if (workspace + dense > 0)
        FT_FORWARD(ft_cuda_scratch(cuda, workspace + 4 * dense, (void **)&scratch));
    r.call.workspace = scratch;
    FT_FORWARD(begin(cuda, a, r.ragged, &r.kept));
    if (!r.ragged) {
        block blocks[3];
        r.used = dense_triple(a, r.together, scratch + workspace);
        out = scratch + workspace + 3 * dense;
        FT_FORWARD(pad(cuda, a, blocks, blocks_of(a, r.together, &r.packed, &r.used, blocks)));
    }
    FT_FORWARD(add_operands(cuda, a, &r, out));
    add_values(a, &r.call);
    FT_FORWARD(ft_cudnn_call_record(cuda, &r.call));
    block written = out_block(a, a->out, out);
    return r.ragged ? FT_OK : unpad(cuda, a, &written, 1);
}

/* ---- backward ---- */

static void add_gradient_operands(run *r, const triple *gradient, const void *dout, char *row_sums,
                                  char *dq_sums)
{
    ft_cudnn_call *call = &r->call;
    ft_cudnn_call_operand(call, FT_ATTENTION_DOUT, dout);
    ft_cudnn_call_operand(call, FT_ATTENTION_DQ, gradient->q);
    ft_cudnn_call_operand(call, FT_ATTENTION_DK, gradient->k);
    ft_cudnn_call_operand(call, FT_ATTENTION_DV, gradient->v);
    ft_cudnn_call_operand(call, FT_ATTENTION_ROW_SUMS, row_sums);
    ft_cudnn_call_operand(call, FT_ATTENTION_DQ_SUMS, dq_sums);
}

ft_status ft_cudnn_attention_backward(ft_cuda *cuda, const ft_attention *a,
                                      const ft_attention_gradient *g)
{
    const triple written = {g->dq, g->dk, g->dv, a->q_stride, a->kv_stride};
    run r = {0};
    FT_FORWARD(prepare(cuda, a, &written, &r));
    size_t workspace = ft_cudnn_part((size_t)r.plan->workspace);
    size_t numbers = (size_t)a->layout->sequences * a->heads * padded_length(a->layout);
    size_t row_sums = ft_cudnn_part(numbers * sizeof(float));
    size_t dq_sums = ft_cudnn_part(numbers * a->head_dim * sizeof(float));
    size_t dense = r.ragged ? 0 : dense_bytes(a);
    char *scratch;
    FT_FORWARD(
        ft_cuda_scratch(cuda, workspace + row_sums + dq_sums + 8 * dense, (void **)&scratch));
    r.call.workspace = scratch;
    char *sums = scratch + workspace, *dense_at = sums + row_sums + dq_sums;

    triple gradient = written;
    const char *out = a->out, *dout = g->dout;
    if (!r.ragged) {
        block blocks[3];
        r.used = dense_triple(a, r.together, dense_at);
        gradient = dense_triple(a, r.together, dense_at + 3 * dense);
        out = dense_at + 6 * dense;
        dout = dense_at + 7 * dense;
        FT_FORWARD(pad(cuda, a, blocks, blocks_of(a, r.together, &r.packed, &r.used, blocks)));
        block outs[] = {out_block(a, a->out, (char *)out), out_block(a, g->dout, (char *)dout)};
        FT_FORWARD(pad(cuda, a, outs, 2));
    }
    FT_FORWARD(add_operands(cuda, a, &r, out));
    add_gradient_operands(&r, &gradient, dout, sums, sums + row_sums);
    add_values(a, &r.call);
    ft_cudnn_call_value(&r.call, FT_ATTENTION_KEEP, 1.0f - a->dropout.p);
    FT_FORWARD(ft_cudnn_call_record(cuda, &r.call));
    block blocks[3];
    int count = blocks_of(a, r.together, &written, &gradient, blocks);
    return r.ragged ? zero_behind(cuda, a, blocks, count) : unpad(cuda, a, blocks, count);
}
