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
 * Up to this size the memory of a port or link is reserved when it is made; a bigger port's only
 * when the caller asks for all of it (YOKE_POPULATE, YOKE_HUGE).
 */
#define YK_RESERVE_MOST (UINT64_C(64) << 20)

#endif
