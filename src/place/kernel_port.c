/*
 * kernel_port.c - ports in the kernel place: one message queue, for all who send and receive.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/sys.h"
#include "kernel.h"

static const struct yk_channel_kind kind = {.other_end = NULL};

static void close_port(void *self)
{
    struct yk_channel *channel = self;
    yk_channel_fini(channel);
    yk_queues_close(&channel->queues);
    free(channel);
}

static const struct yk_endpoint_operations operations = {
    .what = "a port in the kernel place",
    .close = close_port,
    .cancel = yk_channel_cancel,
    .max_message = yk_channel_max_message,
    .fd = yk_channel_fd,
    .send_many = yk_channel_send_many,
    .recv_many = yk_channel_recv_many,
};

int yk_kernel_port_open(yoke_endpoint *endpoint, const struct yk_address *address, uint32_t flags,
                        const struct yoke_options *options)
{
    struct yk_queues_plan plan = {
        .kind = YK_KIND_PORT,
        .name = address->name,
        .flags = flags,
        .mode = options->mode,
        .group = options->group,
        .participants = options->participants ? options->participants : 128,
        .priorities = options->priorities ? options->priorities : 1,
        .seat = YK_ANY_SEAT,
        .size = {options->depth, options->max_message, yk_channel_header},
    };
    yk_queue_size_default(&plan.size);
    struct yk_channel *channel = yk_sys_allocate(1, sizeof *channel);
    if (!channel)
        return yk_fail(ENOMEM, "no memory for an endpoint");
    int result = yk_queues_open(&channel->queues, &plan);
    if (result == 0)
        result = yk_channel_init(channel, &kind, 0, 0);
    if (result < 0) {
        free(channel);
        return result;
    }
    endpoint->self = channel;
    endpoint->operations = &operations;
    return 0;
}
