#include "model/schedule.h"

#include <math.h>
#include <string.h>

static double after_warmup(int64_t step, int64_t warmup, int64_t total)
{
    return (double)(step - warmup) / (double)(total > warmup ? total - warmup : 1);
}

static double linear(int64_t step, int64_t warmup, int64_t total)
{
    return fmax(0.0, (double)(total - step) / (double)(total > warmup ? total - warmup : 1));
}

static double cosine(int64_t step, int64_t warmup, int64_t total)
{
    return fmax(0.0, 0.5 * (1.0 + cos(M_PI * after_warmup(step, warmup, total))));
}

ft_status ft_schedule_rate(const char *name, double base, int64_t step, int64_t warmup,
                           int64_t total, double *out)
{
    FT_RETURN_IF(step < 0 || warmup < 0, FT_ERROR_VALUE,
                 "step and warmup steps must not be negative, got %lld and %lld", (long long)step,
                 (long long)warmup);
    double factor = 1.0;
    if (strcmp(name, "constant") != 0 && step < warmup)
        factor = (double)step / (double)warmup;
    else if (!strcmp(name, "linear"))
        factor = linear(step, warmup, total);
    else if (!strcmp(name, "cosine"))
        factor = cosine(step, warmup, total);
    FT_RETURN_IF(strcmp(name, "constant") && strcmp(name, "constant_with_warmup") &&
                     strcmp(name, "linear") && strcmp(name, "cosine"),
                 FT_ERROR_VALUE,
                 "unknown schedule '%s': 'constant', 'constant_with_warmup', 'linear' or 'cosine'",
                 name);
    *out = base * factor;
    return FT_OK;
}
