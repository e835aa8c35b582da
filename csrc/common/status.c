#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024];

ft_status ft_error(ft_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}

ft_status ft_error_within(ft_status status, const char *format, ...)
{
    if (status == FT_OK)
        return status;
    char outer[256], inner[sizeof message];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(outer, sizeof outer, format, arguments);
    va_end(arguments);
    memcpy(inner, message, sizeof inner);
    snprintf(message, sizeof message, "%s: %.*s", outer, (int)(sizeof message - sizeof outer - 2),
             inner);
    return status;
}

const char *ft_error_message(void)
{
    return message;
}
