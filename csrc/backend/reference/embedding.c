#include <stdlib.h>
#include <string.h>

#include "backend/dropout.h"
#include "backend/precision.h"
#include "backend/reference/norm.h"
#include "backend/reference/reference.h"

ft_status ft_reference_embedding_forward(ft_backend *backend, const ft_embedding *e)
{
    (void)backend;
    size_t h = e->hidden, tail = (size_t)e->tokens * h, end = (size_t)e->rows * h;
    float *y = malloc(h * sizeof *y);
    FT_RETURN_IF(y == NULL, FT_ERROR_MEMORY, "cannot allocate the norm's scratch");
    for (size_t t = 0; t < (size_t)e->tokens; t++) {
        const float *word = e->word + (size_t)e->input_ids[t] * h;
        const float *position = e->position + (size_t)e->position_ids[t] * h;
        const float *type = e->type ? e->type + (size_t)e->token_type_ids[t] * h : NULL;
        float *sum = e->sum + t * h;
        for (size_t i = 0; i < h; i++)
            sum[i] = word[i] + (type ? type[i] : 0.0f) + position[i];
        ft_reference_norm_forward(e->hidden, sum, e->gamma, e->beta, e->eps, &e->mean[t],
                                  &e->rstd[t], y);
        for (size_t i = 0, at = t * h; i < h; i++, at++) {
            float out = y[i] * ft_dropout_factor(&e->dropout, at);
            ft_store(e->precision, e->out, at, out);
            if (e->stream)
                e->stream[at] = out;
        }
    }
    for (size_t at = tail; at < end; at++) {
        e->sum[at] = 0.0f;
        ft_store(e->precision, e->out, at, 0.0f);
        if (e->stream)
            e->stream[at] = 0.0f;
    }
    free(y);
    return FT_OK;
}

ft_status ft_reference_embedding_backward(ft_backend *backend, const ft_embedding *e,
                                          const ft_embedding_gradient *g)
{
    (void)backend;
    int32_t h = e->hidden;
    float *dout = g->dout;
    if (!g->accumulate) {
        memset(g->dgamma, 0, h * sizeof(float));
        memset(g->dbeta, 0, h * sizeof(float));
    }
    for (size_t t = 0; t < (size_t)e->tokens; t++) {
        float *d = dout + t * h;
        for (int32_t i = 0; i < h; i++)
            d[i] *= ft_dropout_factor(&e->dropout, t * h + i);
        ft_reference_norm_backward(h, e->sum + t * h, e->gamma, e->mean[t], e->rstd[t], d, d,
                                   g->dgamma, g->dbeta);
        int32_t id = e->input_ids[t];
        for (int32_t i = 0; i < h; i++) {
            if (id != g->padding_id)
                g->dword[(size_t)id * h + i] += d[i];
            g->dposition[(size_t)e->position_ids[t] * h + i] += d[i];
            if (e->type)
                g->dtype[(size_t)e->token_type_ids[t] * h + i] += d[i];
        }
        if (id != g->padding_id)
            g->word_rows[id] = 1;
    }
    return FT_OK;
}
