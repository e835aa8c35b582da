/* LayerNorm(word[id] + position[p] + type[t]), then dropout; and back, into the three tables. */
#include "embedding.h"
#include "norm.cuh"

struct ForwardRow {
    const ft_embedding_forward_arguments &a;
    const ft_cuda_dropout dropout;
    const size_t start;
    const float *word, *position, *type;

    __device__ ForwardRow(const ft_embedding_forward_arguments &a, size_t row)
        : a(a), dropout(*a.norm.dropout), start(row * a.norm.hidden), word(0), position(0), type(0)
    {
        if (row >= *a.norm.tokens)
            return;
        word = a.word + (size_t)a.input_ids[row] * a.norm.hidden;
        position = a.position + (size_t)a.position_ids[row] * a.norm.hidden;
        type = a.type ? a.type + (size_t)a.token_type_ids[row] * a.norm.hidden : 0;
    }

    template <typename T> __device__ T load(int column) const
    {
        T sum = ft_read<T>(word, column);
        if (type)
            sum = sum + ft_read<T>(type, column);
        return sum + ft_read<T>(position, column);
    }

    template <typename T> __device__ void store(int column, T sum, T y) const
    {
        size_t at = start + column;
        write(at, sum, ft_drop(dropout, at, y));
    }

    template <typename T> __device__ void zero(int column, T none) const
    {
        write(start + column, none, none);
    }

    template <typename T> __device__ void write(size_t at, T sum, T out) const
    {
        ft_write(a.sum, at, sum);
        ft_write_elements(a.out, at, out);
        if (a.stream)
            ft_write(a.stream, at, out);
    }
};

struct BackwardRow {
    const ft_embedding_norm_arguments &a;
    const size_t start;

    __device__ BackwardRow(const ft_embedding_norm_arguments &a, size_t row)
        : a(a), start(row * a.norm.hidden)
    {
    }

    template <typename T> __device__ T x(int column) const
    {
        return ft_read<T>(a.sum, start + column);
    }

    template <typename T> __device__ T dy(int column) const
    {
        size_t at = start + column;
        return ft_drop(*a.norm.dropout, at, ft_read<T>(a.dout, at));
    }

    template <typename T> __device__ void store(int column, T dx) const
    {
        ft_write(a.dout, start + column, dx);
    }

    /* Nothing reads these rows. */
    template <typename T> __device__ void zero(int, T) const {}
};

FT_KERNEL(embedding_forward, FT_NORM_THREADS)(const ft_embedding_forward_arguments a)
{
    __shared__ float shared[FT_NORM_WARPS];
    ft_norm_forward<ForwardRow>(a, shared);
}

FT_KERNEL_RESIDENT(embedding_norm_backward, FT_NORM_THREADS, FT_NORM_BACKWARD_BLOCKS)
(const ft_embedding_norm_arguments a)
{
    __shared__ __align__(16) float shared[2][FT_NORM_IN_REGISTERS];
    ft_norm_backward<BackwardRow>(a, shared);
}

/* ---- scattering ---- */

enum {
    CHUNK = 1024, /* ids that a block looks at between two barriers */
    WORDS = CHUNK / FT_WARP,
    WARPS = FT_EMBEDDING_THREADS / FT_WARP,
    LOADS = 8, /* of a thread's that are under way at a time */
};

/* Writes which of the CHUNK tokens from `from` on have this id to `found`, in order; how many. */
__device__ inline int find(const int *ids, int from, int tokens, int id, unsigned *matches,
                           int *found)
{
    int lane = threadIdx.x % FT_WARP, warp = threadIdx.x / FT_WARP;
    __syncthreads(); /* the last chunk's have been read */
    for (int word = warp; word < WORDS; word += WARPS) {
        int at = from + word * FT_WARP + lane;
        unsigned match = __ballot_sync(FT_ALL_LANES, at < tokens && ids[at] == id);
        if (lane == 0)
            matches[word] = match;
    }
    __syncthreads();
    int count = 0;
    for (int word = 0; word < WORDS; word++) {
        unsigned match = matches[word];
        if (word % WARPS == warp && match >> lane & 1)
            found[count + __popc(match & ((1u << lane) - 1))] = from + word * FT_WARP + lane;
        count += __popc(match);
    }
    __syncthreads();
    return count;
}

/* Adds rows of d, `width` Ts wide, to one of a table. */
template <typename T>
__device__ inline void add_rows(const float *d, const int *rows, int count, int width, float *to)
{
    const T *from = (const T *)d;
    for (int column = threadIdx.x; column < width; column += FT_EMBEDDING_THREADS) {
        T sum = ((T *)to)[column], row[LOADS];
        int i = 0;
        for (; i + LOADS <= count; i += LOADS) {
#pragma unroll
            for (int k = 0; k < LOADS; k++)
                row[k] = from[(size_t)rows[i + k] * width + column];
#pragma unroll
            for (int k = 0; k < LOADS; k++)
                sum = sum + row[k];
        }
        for (; i < count; i++)
            sum = sum + from[(size_t)rows[i] * width + column];
        ((T *)to)[column] = sum;
    }
}

FT_KERNEL(embedding_tables, FT_EMBEDDING_THREADS)(const ft_embedding_tables_arguments a)
{
    __shared__ unsigned matches[WORDS];
    __shared__ int found[CHUNK];
    __shared__ volatile int earlier;
    ft_embedding_table table = blockIdx.y == 0 ? a.word : a.position;
    int first = blockIdx.x, tokens = *a.tokens;
    if (first >= tokens)
        return;
    int id = table.ids[first];
    if (id == table.skipped)
        return;
    if (threadIdx.x == 0)
        earlier = 0;
    __syncthreads();
    /* Backwards: the ids of most tokens have been met shortly before. */
    for (int at = first - 1 - (int)threadIdx.x; at >= 0 && !earlier; at -= FT_EMBEDDING_THREADS)
        if (table.ids[at] == id)
            earlier = 1;
    __syncthreads();
    if (earlier)
        return;
    float *to = table.dtable + (size_t)id * a.hidden;
    for (int from = first; from < tokens; from += CHUNK) {
        int count = find(table.ids, from, tokens, id, matches, found);
        if (count == 0)
            continue;
        if (a.fours)
            add_rows<float4>(a.d, found, count, a.hidden / 4, to);
        else
            add_rows<float>(a.d, found, count, a.hidden, to);
    }
    if (table.flags && threadIdx.x == 0)
        table.flags[id] = 1;
}

/* The least id above `last`, or -1 where there is none. `shared` has an entry for each warp. */
__device__ inline int next_id(const int *ids, int tokens, int last, unsigned *shared)
{
    unsigned least = 0xFFFFFFFFu; /* -1, above all */
    for (int at = threadIdx.x; at < tokens; at += blockDim.x)
        if (ids[at] > last && ids[at] < least)
            least = ids[at];
    for (int distance = FT_WARP / 2; distance > 0; distance /= 2)
        least = min(least, __shfl_xor_sync(FT_ALL_LANES, least, distance));
    if (threadIdx.x % FT_WARP == 0)
        shared[threadIdx.x / FT_WARP] = least;
    __syncthreads();
    for (int warp = 0; warp < blockDim.x / FT_WARP; warp++)
        least = min(least, shared[warp]);
    __syncthreads();
    return least;
}

/* Threads share a column's rows out among them; the order of their sums is fixed. */
FT_KERNEL(embedding_types, FT_EMBEDDING_TYPE_THREADS)(const ft_embedding_types_arguments a)
{
    enum {
        COLUMNS = FT_EMBEDDING_TYPE_COLUMNS,
        SHARES = FT_EMBEDDING_TYPE_THREADS / COLUMNS,
    };
    __shared__ unsigned least[FT_EMBEDDING_TYPE_THREADS / FT_WARP];
    __shared__ float sums[SHARES][COLUMNS];
    int own = threadIdx.x % COLUMNS, share = threadIdx.x / COLUMNS;
    int column = blockIdx.x * COLUMNS + own, tokens = *a.tokens;
    for (int id = next_id(a.ids, tokens, -1, least); id >= 0;
         id = next_id(a.ids, tokens, id, least)) {
        float sum = 0.0f, of_row[LOADS];
        for (int from = share; from < tokens && column < a.hidden; from += LOADS * SHARES) {
#pragma unroll
            for (int k = 0; k < LOADS; k++) {
                int row = from + k * SHARES;
                bool taken = row < tokens && a.ids[row] == id;
                of_row[k] = taken ? a.d[(size_t)row * a.hidden + column] : 0.0f;
            }
#pragma unroll
            for (int k = 0; k < LOADS; k++)
                sum += of_row[k];
        }
        sums[share][own] = sum;
        __syncthreads();
        if (share == 0 && column < a.hidden) {
            for (int other = 1; other < SHARES; other++)
                sum += sums[other][own];
            a.dtable[(size_t)id * a.hidden + column] += sum;
        }
    }
}
