/*
 * endpoint_options.h - what all kinds of endpoints check of struct yoke_options and the flags.
 */
#ifndef YK_ENDPOINT_OPTIONS_H
#define YK_ENDPOINT_OPTIONS_H

#include "memory/layout.h"
#include "yoke.h"

/* 0, -EINVAL, or -ENOTSUP for what only another kind can do. */
int yk_options_check(enum yk_kind kind, uint32_t flags, const struct yoke_options *options);

/*
 * Is the memory of a port or link of so many bytes reserved when it is made? If it is not big, or
 * when the caller asks for all of it.
 */
static inline bool yk_options_reserve(uint64_t bytes, uint32_t flags)
{
    if (flags & (YOKE_POPULATE | YOKE_HUGE))
        return true;
    return bytes <= (UINT64_C(64) << 20) && !(flags & YOKE_SPARSE);
}

#endif
