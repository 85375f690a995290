/*
 * boost_mq.cpp - Boost.Interprocess: message_queue, the one file of C++ here.
 *
 * One queue for each channel, as deep as a channel should be; all messages of one priority, so
 * nothing is sorted. The names are gone before the first message: the workers inherit the
 * mappings. Spinning means try_send() and try_receive(), again and again.
 *
 * When one side is killed: the other is not told. A sender goes on until the queue is full, a
 * receiver gets what was sent before, then each sleeps. If it was killed within a call (it holds a
 * process-shared mutex that is not robust while it copies) all others wait at that mutex for ever,
 * also in the calls with a time limit. The memory stays in /dev/shm until somebody removes it.
 */
extern "C" {
#include "peers.h"
}

#include <boost/interprocess/ipc/message_queue.hpp>
#include <cerrno>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <unistd.h>

using boost::interprocess::message_queue;

namespace
{

struct queues {
    std::unique_ptr<message_queue> queue[BENCH_CHANNELS];
    bool spin;
};

/* A name without its process can only be one that a killed tool with our number left. */
std::unique_ptr<message_queue> make_queue(const bench_setting &setting, int channel)
{
    char name[64];

    std::snprintf(name, sizeof name, "yoke-bench-%ld-%d", static_cast<long>(getpid()), channel);
    message_queue::remove(name);
    std::unique_ptr<message_queue> queue(
        new message_queue(boost::interprocess::create_only, name, setting.depth, setting.size));
    message_queue::remove(name);
    return queue;
}

int setup(bench_run *run)
{
    try {
        std::unique_ptr<queues> state(new queues());

        state->spin = run->setting.mode == BENCH_SPIN;
        for (int channel = 0; channel < BENCH_CHANNELS; channel++)
            state->queue[channel] = make_queue(run->setting, channel);
        run->state = state.release();
        return 0;
    } catch (const std::bad_alloc &) {
        return -ENOMEM;
    } catch (const std::exception &problem) {
        std::snprintf(run->reason, sizeof run->reason, "Boost: %s", problem.what());
        return -EIO;
    }
}

void teardown(bench_run *run)
{
    delete static_cast<queues *>(run->state);
}

int send(void *data, bench_channel channel, const void *message, size_t size)
{
    const queues *state = static_cast<queues *>(data);
    message_queue &queue = *state->queue[channel];

    try {
        if (!state->spin)
            queue.send(message, size, 0);
        else
            while (!queue.try_send(message, size, 0))
                bench_look_again();
        return 0;
    } catch (const std::exception &) {
        return -EIO;
    }
}

int recv(void *data, bench_channel channel, void *buffer, size_t size)
{
    const queues *state = static_cast<queues *>(data);
    message_queue &queue = *state->queue[channel];
    message_queue::size_type got;
    unsigned priority;

    try {
        if (!state->spin)
            queue.receive(buffer, size, got, priority);
        else
            while (!queue.try_receive(buffer, size, got, priority))
                bench_look_again();
        return got == size ? 0 : -EBADMSG;
    } catch (const std::exception &) {
        return -EIO;
    }
}

} // namespace

const struct bench_system bench_boost_mq = {
    .name = "boost-mq",
    .cases = 1 << BENCH_LATENCY | 1 << BENCH_RATE,
    .modes = 1 << BENCH_SPIN | 1 << BENCH_BLOCK,
    .size_min = BENCH_SIZE_MIN,
    .size_max = SIZE_MAX,
    .setup = setup,
    .join = nullptr,
    .teardown = teardown,
    .send = send,
    .recv = recv,
};
