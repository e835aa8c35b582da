/* The arguments of an optimizer step, as Python gives them. */
#ifndef FT_PYTHON_UPDATE_H
#define FT_PYTHON_UPDATE_H

#include "model/model.h"
#include "python/module.h"

/* Owns what its ft_update points to. */
typedef struct ft_update_arguments {
    ft_update update;
    ft_adamw *groups;
    PyArrayObject *group_of;
} ft_update_arguments;

/* groups: a sequence of (lr, beta1, beta2, eps, weight_decay); group_of: an integer for each
 * parameter of the table. -1 with an exception where they are not; to be released in any case. */
int ft_update_arguments_get(const ft_parameter_table *table, PyObject *groups, PyObject *group_of,
                            long long step, double max_norm, ft_update_arguments *);
void ft_update_arguments_release(ft_update_arguments *);

#endif
