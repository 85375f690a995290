/*
 * kernel.c - the kernel place: what is in it lives in the kernel's memory, and its parties share
 * none.
 */
#include "kernel_stream.h"
#include "place.h"

static bool carries(enum yk_kind kind)
{
    return kind == YK_KIND_STREAM;
}

const struct yk_place yk_place_kernel = {
    .name = "kernel",
    .carries = carries,
    .open = yk_kernel_stream_open,
    .open_descriptor = yk_kernel_stream_open_descriptor,
    .remove = yk_kernel_stream_remove,
};
