/* Errors as values. A function that can fail returns ft_status; the message that goes with a
 * failure is kept per thread and read with ft_error_message(). The normal path reads straight
 * down:
 *
 *     FT_RETURN_IF(count < 0, FT_ERROR_VALUE, "count must not be negative, got %d", count);
 *     FT_FORWARD(ft_allocate(bytes, &buffer));
 */
#ifndef FT_COMMON_STATUS_H
#define FT_COMMON_STATUS_H

typedef enum ft_status {
    FT_OK = 0,
    FT_ERROR_MEMORY,     /* MemoryError */
    FT_ERROR_VALUE,      /* ValueError */
    FT_ERROR_TYPE,       /* TypeError */
    FT_ERROR_INDEX,      /* IndexError */
    FT_ERROR_KEY,        /* KeyError */
    FT_ERROR_OS,         /* OSError */
    FT_ERROR_RUNTIME,    /* RuntimeError */
    FT_ERROR_ARITHMETIC, /* FloatingPointError */
} ft_status;

/* Record a message for this thread and return `status`. */
ft_status ft_error(ft_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* Put words and a colon before this thread's last message, and return `status`; FT_OK stays so. */
ft_status ft_error_within(ft_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

/* The message of this thread's last failure; never NULL. */
const char *ft_error_message(void);

#define FT_RETURN_IF(condition, status, ...)                                                       \
    do {                                                                                           \
        if (__builtin_expect(!!(condition), 0))                                                    \
            return ft_error((status), __VA_ARGS__);                                                \
    } while (0)

#define FT_FORWARD(call)                                                                           \
    do {                                                                                           \
        ft_status ft_forwarded_ = (call);                                                          \
        if (__builtin_expect(ft_forwarded_ != FT_OK, 0))                                           \
            return ft_forwarded_;                                                                  \
    } while (0)

#endif
