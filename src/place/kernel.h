/*
 * kernel.h - the kernel place: ports and links whose messages are in the kernel's hands. Sending and
 * receiving are system calls; those who talk share no memory.
 */
#ifndef YK_PLACE_KERNEL_H
#define YK_PLACE_KERNEL_H

#include "channel.h"
#include "inspect.h"
#include "place.h"

/* What both kinds refuse, by its name: -ENOTSUP, or as yk_options_check(). */
int yk_kernel_check(enum yk_kind kind, uint32_t flags, const struct yoke_options *options);

/* See struct yk_place. */
int yk_kernel_look(const struct yk_directory *directory, const struct yk_record *record,
                   struct yk_object_facts *facts, struct yk_participant_facts *people,
                   size_t *count);

int yk_kernel_link_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                        const struct yoke_options *options);
int yk_kernel_port_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                        const struct yoke_options *options);

#endif
