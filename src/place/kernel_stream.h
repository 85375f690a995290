/*
 * kernel_stream.h - streams in the kernel: a named FIFO (fifo.h), or any pipe that a process has a
 * descriptor of.
 */
#ifndef YK_PLACE_KERNEL_STREAM_H
#define YK_PLACE_KERNEL_STREAM_H

#include "endpoint.h"

/* Both set endpoint->self and endpoint->operations. */
int yk_kernel_stream_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                          const struct yoke_options *options);
int yk_kernel_stream_open_descriptor(yoke_endpoint *endpoint, int descriptor,
                                     const struct yoke_options *options);
int yk_kernel_stream_remove(const struct yk_address *address);

#endif
