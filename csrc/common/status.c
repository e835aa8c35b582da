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
    char inner[sizeof message];
    memcpy(inner, message, sizeof inner);
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    if (length >= 0 && (size_t)length < sizeof message)
        snprintf(message + length, sizeof message - (size_t)length, ": %s", inner);
    return status;
}

const char *ft_error_message(void)
{
    return message;
}
