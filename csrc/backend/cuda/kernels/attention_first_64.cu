/* Attention of one query a sequence, of heads of up to 64 columns. */
#include "attention_first.cuh"

FT_KERNEL_RESIDENT(attention_first_forward_64, FT_ATTENTION_FIRST_THREADS, 2)
(ft_attention_arguments a)
{
    attention_first_forward<64>(a);
}

FT_KERNEL_RESIDENT(attention_first_backward_64, FT_ATTENTION_FIRST_THREADS, 2)
(ft_attention_arguments a)
{
    attention_first_backward<64>(a);
}
