/*
 * stream_move.c - yoke_move() for streams in memory: the kernel reads from the ring, or writes into
 * it, in place, so each byte is copied once.
 *
 * Never by lending the ring's pages to the kernel (vmsplice): a page that is lent is still to be
 * sent when the ring comes round and writes into it again.
 */
#include <errno.h>

#include "outside.h"
#include "stream.h"

struct moving {
    struct yk_stream_call call; /* first: copy() gets it */
    struct yk_outside outside;
    bool blocked; /* it was the descriptor that could not */
    int error;    /* the descriptor's */
};

static int failed(struct moving *moving, int error)
{
    moving->blocked = error == -EAGAIN;
    moving->error = moving->blocked ? 0 : error;
    return error;
}

/* Inside: one piece, by one system call that does not wait. */
static int move_piece(struct yk_stream_call *call, uint64_t available)
{
    struct moving *moving = (struct moving *)call;
    struct yk_stream *stream = call->stream;
    uint64_t size = call->size - call->done;
    size = size < available ? size : available;
    size = size < YK_STREAM_PIECE ? size : YK_STREAM_PIECE;
    unsigned char *piece = yk_bytes_piece(&stream->ring, stream->side, &size);
    ssize_t moved = moving->outside.writing ? yk_outside_write(&moving->outside, piece, size)
                                            : yk_outside_read(&moving->outside, piece, size);
    if (moved < 0)
        return failed(moving, (int)moved);
    if (moved == 0) {
        call->ended = true;
        return 1;
    }
    yk_bytes_count(&stream->ring, stream->side, (uint64_t)moved);
    call->done += (size_t)moved;
    yk_stream_copied(stream, (uint64_t)moved);
    return 1;
}

static int run(struct moving *moving)
{
    struct yk_stream_call *call = &moving->call;
    int result = 1;
    while (call->done < call->size && !call->ended && result > 0) {
        if (moving->blocked || moving->outside.patient) {
            yk_stream_visit(call);
            result = yk_outside_wait(&moving->outside, &call->stream->object.cancelled,
                                     yk_stream_left(call));
            if (result < 0)
                return result;
        }
        moving->blocked = false;
        result = yk_stream_run(call);
        if (moving->blocked)
            result = 1;
    }
    return result;
}

ssize_t yk_stream_move(void *self, int descriptor, size_t size, int64_t timeout_ns)
{
    struct yk_stream *stream = self;
    struct moving moving = {.call = {
                                .stream = stream,
                                .size = size,
                                .least = 1,
                                .copy = move_piece,
                                .timeout_ns = timeout_ns,
                            }};
    int result = yk_stream_enter(stream, stream->side, "moved");
    if (result == 0)
        result = yk_outside_open(&moving.outside, descriptor, stream->side == YK_BYTES_READING);
    if (result < 0)
        return result;
    result = run(&moving);
    yk_outside_close(&moving.outside);
    if (moving.error < 0 && moving.call.done == 0) {
        yk_stream_finish(&moving.call, 0);
        return yk_outside_explain(&moving.outside, moving.error);
    }
    return yk_stream_finish(&moving.call, result);
}
