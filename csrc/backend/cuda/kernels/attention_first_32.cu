/* Attention of one query a sequence, of heads of up to 32 columns. */
#include "attention_first.cuh"

FT_KERNEL_RESIDENT(attention_first_forward_32, FT_ATTENTION_FIRST_THREADS, 2)
(ft_attention_arguments a)
{
    attention_first_forward<32>(a);
}

FT_KERNEL_RESIDENT(attention_first_backward_32, FT_ATTENTION_FIRST_THREADS, 2)
(ft_attention_arguments a)
{
    attention_first_backward<32>(a);
}
