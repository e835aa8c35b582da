/* Attention of one query a sequence, of heads of up to 128 columns. */
#include "attention_first.cuh"

FT_KERNEL_RESIDENT(attention_first_forward_128, FT_ATTENTION_FIRST_THREADS, 1)
(ft_attention_arguments a)
{
    attention_first_forward<128>(a);
}

FT_KERNEL_RESIDENT(attention_first_backward_128, FT_ATTENTION_FIRST_THREADS, 1)
(ft_attention_arguments a)
{
    attention_first_backward<128>(a);
}
