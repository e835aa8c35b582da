#include "model/config.h"

static ft_status check_size(const char *name, int32_t value)
{
    FT_RETURN_IF(value < 1, FT_ERROR_VALUE, "%s must be at least 1, got %d", name, value);
    FT_RETURN_IF(value > 1 << 24, FT_ERROR_VALUE, "%s = %d is too large", name, value);
    return FT_OK;
}

static ft_status check_dropout(const char *name, float p)
{
    FT_RETURN_IF(!(p >= 0 && p < 1), FT_ERROR_VALUE, "%s must be in [0, 1), got %g", name, p);
    return FT_OK;
}

ft_status ft_model_config_check(const ft_model_config *c)
{
    FT_FORWARD(check_size("vocab_size", c->vocab_size));
    FT_FORWARD(check_size("hidden_size", c->hidden_size));
    FT_FORWARD(check_size("num_hidden_layers", c->layers));
    FT_FORWARD(check_size("num_attention_heads", c->heads));
    FT_FORWARD(check_size("intermediate_size", c->intermediate_size));
    FT_FORWARD(check_size("max_position_embeddings", c->max_positions));
    FT_FORWARD(check_size("num_labels", c->num_labels));
    FT_RETURN_IF(c->layers > 1 << 12, FT_ERROR_VALUE, "num_hidden_layers = %d is too large",
                 c->layers);
    /* An attention dropout's element index gives a key 16 bits. */
    FT_RETURN_IF(c->max_positions > 1 << 16, FT_ERROR_VALUE,
                 "max_position_embeddings = %d: at most 65536 are supported", c->max_positions);
    FT_RETURN_IF(c->hidden_size % c->heads != 0, FT_ERROR_VALUE,
                 "hidden_size (%d) is not a multiple of num_attention_heads (%d)", c->hidden_size,
                 c->heads);
    if (c->type_vocab_size != 0)
        FT_FORWARD(check_size("type_vocab_size", c->type_vocab_size));
    FT_RETURN_IF(c->pad_token_id >= c->vocab_size, FT_ERROR_VALUE,
                 "pad_token_id (%d) is not below vocab_size (%d)", c->pad_token_id, c->vocab_size);
    FT_RETURN_IF(!(c->layer_norm_eps > 0 && c->layer_norm_eps < 1), FT_ERROR_VALUE,
                 "layer_norm_eps must be in (0, 1), got %g", c->layer_norm_eps);
    FT_FORWARD(check_dropout("hidden_dropout_prob", c->hidden_dropout));
    FT_FORWARD(check_dropout("attention_probs_dropout_prob", c->attention_dropout));
    FT_FORWARD(check_dropout("attention output dropout", c->attention_output_dropout));
    return check_dropout("classifier_dropout", c->classifier_dropout);
}
