/* Learning-rate schedules: Hugging Face's get_scheduler, as functions of the step. */
#ifndef FT_MODEL_SCHEDULE_H
#define FT_MODEL_SCHEDULE_H

#include <stdint.h>

#include "common/status.h"

/* *out = base times the factor of `name` at `step` (from 0): "constant"; "constant_with_warmup":
 * linear from 0 over warmup steps, then 1; "linear": then linear to 0 at total; "cosine": then half
 * a cosine to 0 at total. */
ft_status ft_schedule_rate(const char *name, double base, int64_t step, int64_t warmup,
                           int64_t total, double *out);

#endif
