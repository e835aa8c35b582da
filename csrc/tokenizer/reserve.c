#include "tokenizer/reserve.h"

#include <string.h>

#include "common/memory.h"

ft_status ft_reserve_more(void **array, size_t element, size_t used, size_t more, size_t *capacity)
{
    FT_RETURN_IF(used + more > (size_t)-1 / 4 / element, FT_ERROR_MEMORY,
                 "cannot hold %zu elements more", more);
    size_t wanted = 2 * (used + more);
    void *larger;
    FT_FORWARD(ft_allocate(wanted * element, &larger));
    if (used > 0)
        memcpy(larger, *array, used * element);
    ft_release(*array);
    *array = larger;
    *capacity = wanted;
    return FT_OK;
}
