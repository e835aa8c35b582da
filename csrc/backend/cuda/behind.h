/* Zeros in a gradient's rows behind the tokens, where what wrote the others left those alone. A
 * linear layer's backward that comes next writes them along with what it writes anyway, so that
 * they take no kernel of their own. */
#ifndef FT_BACKEND_CUDA_BEHIND_H
#define FT_BACKEND_CUDA_BEHIND_H

#include "backend/cuda/cuda.h"
#include "backend/cuda/kernels/pad.h"

/* Zeros that wait. */
typedef struct ft_cuda_behind {
    ft_pad_arguments rows; /* packed NULL: none wait */
    ft_precision precision;
    int32_t count; /* of the rows, those of the tokens too */
} ft_cuda_behind;

/* At an operation's end: writes zeros in all columns of its result's rows behind the tokens, of
 * which `layout` says where they are, or puts that off. */
ft_status ft_cuda_zero_behind(ft_cuda *, const ft_cuda_behind *);

/* For who writes those that wait, if they do in this matrix: the layout; otherwise NULL. */
const ft_cuda_layout *ft_cuda_take_behind(ft_cuda *, const ft_linear_gradient *);

/* Records them, if they wait. */
ft_status ft_cuda_finish_behind(ft_cuda *);

#endif
