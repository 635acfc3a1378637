/* The few macros that every folder uses. Only TRY and AUTO hide control flow; there is no third. */
#ifndef KERB_BASE_MACROS_H
#define KERB_BASE_MACROS_H

#define MUST                   __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define ARRAY_LEN(a)           (sizeof(a) / sizeof((a)[0]))

/* 1 where a sanitizer must see each piece of memory, and may read the process. */
#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) /* gcc */
#define UNDER_SANITIZER 1
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

/* Runs `fn(&variable)` when the variable leaves its scope: AUTO(buf_done) struct buf b = {0}; */
#define AUTO(fn) __attribute__((cleanup(fn)))

/* Returns the code of a failed call. Use it only where everything owned is AUTO. */
#define TRY(call)                 \
    do {                          \
        enum rc try_rc_ = (call); \
        if (try_rc_ != RC_OK)     \
            return try_rc_;       \
    } while (0)

#endif
