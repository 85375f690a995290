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
 * Is the memory of a port or link of that size reserved when it is made? Up to 64 MiB unless it is
 * to be sparse; beyond only when it is to be there at once.
 */
bool yk_options_reserve(uint32_t flags, uint64_t bytes);

#endif
