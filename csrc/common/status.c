#include "common/status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char message[1024];

ft_status ft_error(ft_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return status;
}

const char *ft_error_message(void)
{
    return message;
}
