/*
 * What the library refuses: each row is a call, its errno, and a piece of the sentence that explains it. After
 * each, nothing may have changed: no file, segment, attachment or descriptor, no output parameter, not errno.
 */
#include "api.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNTOUCHED ((void *)0x5a5a5a50)
#define ERRNO     0x5a5a

/* What the rows' calls use. Everything in here is good. */
static struct world {
    yoke_region *region, *reader;
    yoke_endpoint *port;
    void *loan;
    const void *borrowed;
    char *buffer;
} world;

/* Where calls put their results: must stay as they are. */
static struct outputs {
    yoke_region *region;
    yoke_endpoint *endpoint;
    void *block;
    const void *message;
} outputs;

/* ---- calls with options ------------------------------------------------------------------------- */

#define PORT_OPTIONS(...)    \
    (&(struct yoke_options){ \
        .struct_size = sizeof(struct yoke_options), .group = -1, .spin_ns = -1, __VA_ARGS__})
#define REGION_OPTIONS(...)         \
    (&(struct yoke_region_options){ \
        .struct_size = sizeof(struct yoke_region_options), .group = -1, __VA_ARGS__})

static int open_port(const char *address, uint32_t flags, const struct yoke_options *options)
{
    return yoke_open(&outputs.endpoint, address, flags, options);
}

static int new_port(const struct yoke_options *options)
{
    return open_port("port:new", YOKE_CREATE, options);
}

static int new_in_kernel(uint32_t flags, const struct yoke_options *options)
{
    return open_port("port:new@kernel", YOKE_CREATE | flags, options);
}

static int new_region(const char *name, size_t size, const struct yoke_region_options *options)
{
    return yoke_region_create(&outputs.region, name, size, options);
}

static int port_group(int64_t group)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.group = group;
    return new_port(&options);
}

static int region_group(int64_t group)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;

    options.group = group;
    return new_region("new", 1, &options);
}

static int port_struct_size(size_t size)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.struct_size = size;
    return new_port(&options);
}

static int region_struct_size(size_t size)
{
    struct yoke_region_options options = YOKE_REGION_OPTIONS_INIT;

    options.struct_size = size;
    return new_region("new", 1, &options);
}

static int port_spin(int64_t spin_ns)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    options.spin_ns = spin_ns;
    return new_port(&options);
}

static int from_place(const char *place)
{
    int result;

    setenv("YOKE_PLACE", place, 1);
    result = open_port("port:good", 0, NULL);
    unsetenv("YOKE_PLACE");
    return result;
}

static int new_port_flags(uint32_t flags)
{
    return open_port("port:new", YOKE_CREATE | flags, NULL);
}

static int64_t send_one(uint32_t priority, void *data, size_t size)
{
    struct yoke_message message = {.data = data, .size = size, .priority = priority};

    return yoke_send_many(world.port, &message, 1, YOKE_NOW);
}

static int64_t recv_one(void *data, size_t capacity)
{
    struct yoke_message message = {.data = data, .capacity = capacity};

    return yoke_recv_many(world.port, &message, 1, YOKE_NOW);
}

static const char *long_name(size_t length)
{
    static char name[1000];

    memset(name, 'n', length);
    name[length] = 0;
    return name;
}

static const char *long_address(size_t length)
{
    static char address[1010];

    snprintf(address, sizeof address, "port:%s", long_name(length));
    return address;
}

/* ---- the table ---------------------------------------------------------------------------------- */

#define ROWS(X)                                                                                    \
    /* names */                                                                                    \
    X(region_name_null, new_region(NULL, 1, NULL), EINVAL, "NULL")                                 \
    X(region_name_empty, new_region("", 1, NULL), EINVAL, "empty")                                 \
    X(region_name_too_long, new_region(long_name(129), 1, NULL), EINVAL, "128")                    \
    X(region_name_far_too_long, new_region(long_name(999), 1, NULL), EINVAL, "128")                \
    X(region_name_slash, new_region("a/b", 1, NULL), EINVAL, "'/'")                                \
    X(region_name_up, new_region("../x", 1, NULL), EINVAL, "dot")                                  \
    X(region_name_dot, new_region(".x", 1, NULL), EINVAL, "dot")                                   \
    X(region_name_address, new_region("region:a", 1, NULL), EINVAL, "'region:a' is an address")    \
    X(region_name_other_address, new_region("port:a", 1, NULL), EINVAL, "'port:a' is an address")  \
    X(region_name_at, new_region("a@b", 1, NULL), EINVAL, "'@'")                                   \
    X(region_name_space, new_region("a b", 1, NULL), EINVAL, "0x20")                               \
    X(region_name_newline, new_region("a\n", 1, NULL), EINVAL, "0x0a")                             \
    X(region_name_escape, new_region("\033[2J", 1, NULL), EINVAL, "0x1b")                          \
    X(region_name_delete, new_region("a\177", 1, NULL), EINVAL, "0x7f")                            \
    X(region_name_umlaut, new_region("\303\244", 1, NULL), EINVAL, "0xc3")                         \
    X(region_open_name_empty, yoke_region_open(&outputs.region, "", 0), EINVAL, "empty")           \
    X(region_open_name_slash, yoke_region_open(&outputs.region, "a/b", 0), EINVAL, "'/'")          \
    X(region_open_name_null, yoke_region_open(&outputs.region, NULL, 0), EINVAL, "NULL")           \
    X(region_remove_name_null, yoke_region_remove(NULL), EINVAL, "NULL")                           \
    X(region_remove_name_slash, yoke_region_remove("../../etc/passwd"), EINVAL, "dot")             \
    X(region_remove_name_missing, yoke_region_remove("nothing"), ENOENT, "nothing")                \
    X(region_open_name_missing, yoke_region_open(&outputs.region, "no", 0), ENOENT, "region:no")   \
    /* addresses */                                                                                \
    X(address_null, open_port(NULL, 0, NULL), EINVAL, "NULL")                                      \
    X(address_empty, open_port("", 0, NULL), EINVAL, "KIND:NAME")                                  \
    X(address_without_kind, open_port("jobs", 0, NULL), EINVAL, "jobs")                            \
    X(address_empty_kind, open_port(":jobs", 0, NULL), ENOTSUP, "kind")                            \
    X(address_empty_name, open_port("port:", YOKE_CREATE, NULL), EINVAL, "empty")                  \
    X(address_no_name, open_port("port:@memory", YOKE_CREATE, NULL), EINVAL, "empty")              \
    X(address_kind_unknown, open_port("prot:jobs", 0, NULL), ENOTSUP, "prot")                      \
    X(address_kind_capital, open_port("Port:jobs", 0, NULL), ENOTSUP, "Port")                      \
    X(address_kind_later, open_port("topic:news", 0, NULL), ENOTSUP, "topic")                      \
    X(address_kind_region, open_port("region:good", 0, NULL), ENOTSUP, "yoke_region_open")         \
    X(address_name_slash, open_port("port:a/b", YOKE_CREATE, NULL), EINVAL, "'/'")                 \
    X(address_name_too_long, open_port(long_address(129), YOKE_CREATE, NULL), EINVAL, "128")       \
    X(address_name_control, open_port("port:a\tb", YOKE_CREATE, NULL), EINVAL, "0x09")             \
    X(address_place_kernel, open_port("port:good@kernel", 0, NULL), ENOENT, "port:good@kernel")    \
    X(address_place_region, yoke_remove("region:good@kernel"), ENOTSUP, "region")                  \
    X(kernel_depth, new_in_kernel(0, PORT_OPTIONS(.depth = 70000)), EINVAL, "msg_max=70000")       \
    X(kernel_message, new_in_kernel(0, PORT_OPTIONS(.max_message = 32 << 20)), EINVAL, "msgsize")  \
    X(kernel_policy, new_in_kernel(0, PORT_OPTIONS(.policy = YOKE_POLICY_REDELIVER)), ENOTSUP,     \
      "redeliver")                                                                                 \
    X(kernel_parked, new_in_kernel(YOKE_PARKED, NULL), ENOTSUP, "YOKE_PARKED")                     \
    X(kernel_huge, new_in_kernel(YOKE_HUGE, NULL), ENOTSUP, "YOKE_HUGE")                           \
    X(kernel_mode, new_in_kernel(0, PORT_OPTIONS(.mode = 0060)), EINVAL, "0060")                   \
    X(kernel_mode_execute, new_in_kernel(0, PORT_OPTIONS(.mode = 0700)), EINVAL, "0700")           \
    X(kernel_participants, new_in_kernel(0, PORT_OPTIONS(.participants = 1024)), EINVAL, "1023")   \
    X(kernel_priorities, new_in_kernel(0, PORT_OPTIONS(.priorities = 33)), EINVAL, "32")           \
    X(address_place_mars, open_port("port:good@mars://h:1", 0, NULL), ENOTSUP, "'mars'")           \
    X(address_place_unknown, open_port("port:good@memory2", 0, NULL), ENOTSUP, "memory2")          \
    X(address_empty_place, open_port("port:good@", 0, NULL), EINVAL, "place is empty")             \
    X(address_two_places, open_port("port:good@memory@memory", 0, NULL), ENOTSUP, "place")         \
    X(address_missing, open_port("port:nothing", 0, NULL), ENOENT, "port:nothing")                 \
    X(place_from_environment, from_place("mars://127.0.0.1:4222"), ENOTSUP, "YOKE_PLACE")          \
    X(place_from_environment_unknown, from_place("elsewhere"), ENOTSUP, "elsewhere")               \
    X(remove_null, yoke_remove(NULL), EINVAL, "NULL")                                              \
    X(remove_bare_name, yoke_remove("good"), EINVAL, "good")                                       \
    X(remove_missing, yoke_remove("port:nothing"), ENOENT, "port:nothing")                         \
    X(remove_kind_unknown, yoke_remove("queue:good"), ENOTSUP, "queue")                            \
    /* a port is no region */                                                                      \
    X(port_opened_as_region, yoke_region_open(&outputs.region, "only-port", 0), ENOENT,            \
      "region:only-port")                                                                          \
    X(region_opened_as_port, open_port("port:only-region", 0, NULL), ENOENT, "port:only-region")   \
    /* sizes */                                                                                    \
    X(size_zero, new_region("new", 0, NULL), EINVAL, "0 bytes")                                    \
    X(size_negative, new_region("new", (size_t)-1, NULL), EINVAL, "18446744073709551615")          \
    X(size_of_the_address_space, new_region("new", (size_t)1 << 46, NULL), EINVAL,                 \
      "can be mapped")                                                                             \
    X(size_beyond, new_region("new", ((size_t)1 << 46) + 1, NULL), EINVAL, "64 TiB")               \
    X(size_differs, new_region("good", 4097, NULL), EEXIST, "4097")                                \
    /* regions' options */                                                                         \
    X(region_output_null, yoke_region_create(NULL, "new", 1, NULL), EINVAL, "ret_region")          \
    X(region_open_output_null, yoke_region_open(NULL, "good", 0), EINVAL, "ret_region")            \
    X(region_struct_size_0, region_struct_size(0), EINVAL, "YOKE_REGION_OPTIONS_INIT")             \
    X(region_struct_size_other, region_struct_size(sizeof(struct yoke_region_options) - 4),        \
      EINVAL, "YOKE_REGION_OPTIONS_INIT")                                                          \
    X(region_struct_size_more, region_struct_size(4096), EINVAL, "YOKE_REGION_OPTIONS_INIT")       \
    X(region_reserved, new_region("new", 1, REGION_OPTIONS(.reserved = 1)), EINVAL, "reserved")    \
    X(region_flags_unknown, new_region("new", 1, REGION_OPTIONS(.flags = 0x100)), EINVAL, "0x100") \
    X(region_flags_all, new_region("new", 1, REGION_OPTIONS(.flags = ~0u)), EINVAL, "flags")       \
    X(region_flags_parked, new_region("new", 1, REGION_OPTIONS(.flags = YOKE_PARKED)), EINVAL,     \
      "0x10")                                                                                      \
    X(region_flags_read_only, new_region("new", 1, REGION_OPTIONS(.flags = YOKE_READ_ONLY)),       \
      EINVAL, "0x8")                                                                               \
    X(region_exclusive, new_region("good", 4096, REGION_OPTIONS(.flags = YOKE_EXCLUSIVE)), EEXIST, \
      "region:good")                                                                               \
    X(region_participants, new_region("new", 1, REGION_OPTIONS(.participants = 1024)), EINVAL,     \
      "1023")                                                                                      \
    X(region_mode_execute, new_region("new", 1, REGION_OPTIONS(.mode = 0700)), EINVAL, "0700")     \
    X(region_mode_setuid, new_region("new", 1, REGION_OPTIONS(.mode = 04600)), EINVAL, "4600")     \
    X(region_mode_all, new_region("new", 1, REGION_OPTIONS(.mode = ~0u)), EINVAL, "mode")          \
    X(region_mode_of_existing, new_region("good", 4096, REGION_OPTIONS(.mode = 0777)), EINVAL,     \
      "0777")                                                                                      \
    X(region_group_negative, region_group(-2), EINVAL, "group")                                    \
    X(region_group_too_big, region_group(INT64_C(1) << 32), EINVAL, "group")                       \
    X(region_group_most, region_group(INT64_MAX), EINVAL, "group")                                 \
    X(region_open_flags, yoke_region_open(&outputs.region, "good", YOKE_CREATE), EINVAL, "0x1")    \
    X(region_open_flags_all, yoke_region_open(&outputs.region, "good", ~0u), EINVAL, "flags")      \
    /* ports' options */                                                                           \
    X(port_output_null, yoke_open(NULL, "port:good", 0, NULL), EINVAL, "ret_endpoint")             \
    X(port_struct_size_0, port_struct_size(0), EINVAL, "YOKE_OPTIONS_INIT")                        \
    X(port_struct_size_less, port_struct_size(sizeof(struct yoke_options) - 8), EINVAL,            \
      "YOKE_OPTIONS_INIT")                                                                         \
    X(port_struct_size_more, port_struct_size(SIZE_MAX), EINVAL, "YOKE_OPTIONS_INIT")              \
    X(port_borrowed, new_port(PORT_OPTIONS(.max_borrowed = 65537)), EINVAL, "65536")               \
    X(port_parked, new_port(PORT_OPTIONS(.max_parked = UINT32_MAX)), EINVAL, "1048576")            \
    X(port_too_much_borrowed, new_port(PORT_OPTIONS(.max_borrowed = 65536, .participants = 64)),   \
      EINVAL, "65536 borrowed")                                                                    \
    X(port_sparse_and_populated, new_port_flags(YOKE_SPARSE | YOKE_POPULATE), EINVAL, "sparse")    \
    X(region_sparse_and_huge,                                                                      \
      new_region("new", 1, REGION_OPTIONS(.flags = YOKE_SPARSE | YOKE_HUGE)), EINVAL, "sparse")    \
    X(port_flags_unknown, open_port("port:good", 0x100, NULL), EINVAL, "0x100")                    \
    X(port_flags_all, open_port("port:good", ~0u & ~YOKE_READ_ONLY, NULL), EINVAL, "flags")        \
    X(port_flags_read_only, open_port("port:good", YOKE_READ_ONLY, NULL), ENOTSUP, "read-only")    \
    X(port_exclusive_alone, open_port("port:good", YOKE_EXCLUSIVE, NULL), EINVAL, "YOKE_CREATE")   \
    X(port_kept_alone, open_port("port:good", YOKE_KEPT, NULL), EINVAL, "YOKE_CREATE")             \
    X(port_huge_alone, open_port("port:good", YOKE_HUGE, NULL), EINVAL, "YOKE_CREATE")             \
    X(port_exclusive, open_port("port:good", YOKE_CREATE | YOKE_EXCLUSIVE, NULL), EEXIST,          \
      "port:good")                                                                                 \
    X(port_depth, new_port(PORT_OPTIONS(.depth = (1u << 20) + 1)), EINVAL, "1048576")              \
    X(port_depth_most, new_port(PORT_OPTIONS(.depth = ~0u)), EINVAL, "1048576")                    \
    X(port_max_message, new_port(PORT_OPTIONS(.max_message = YOKE_MESSAGE_MAX + 1)), EINVAL,       \
      "67108864")                                                                                  \
    X(port_max_message_most, new_port(PORT_OPTIONS(.max_message = SIZE_MAX)), EINVAL, "region")    \
    X(port_priorities, new_port(PORT_OPTIONS(.priorities = 33)), EINVAL, "32")                     \
    X(port_participants, new_port(PORT_OPTIONS(.participants = 1024)), EINVAL, "1023")             \
    X(port_blocks, new_port(PORT_OPTIONS(.depth = 1u << 20, .participants = 1023)), EINVAL,        \
      "lower one")                                                                                 \
    X(port_too_big,                                                                                \
      new_port(PORT_OPTIONS(.depth = 1u << 20, .participants = 4, .max_message = 1u << 26)),       \
      EINVAL, "can be mapped")                                                                     \
    X(port_policy, new_port(PORT_OPTIONS(.policy = 3)), EINVAL, "policy 3")                        \
    X(port_spin_negative, port_spin(-2), EINVAL, "spin_ns")                                        \
    X(port_mode_execute, new_port(PORT_OPTIONS(.mode = 0755)), EINVAL, "0755")                     \
    X(port_mode_sticky, new_port(PORT_OPTIONS(.mode = 01600)), EINVAL, "1600")                     \
    X(port_group_negative, port_group(-2), EINVAL, "group")                                        \
    X(port_group_too_big, port_group(INT64_C(1) << 40), EINVAL, "group")                           \
    /* sending */                                                                                  \
    X(send_null, yoke_send(NULL, "x", 1, 0), EINVAL, "NULL")                                       \
    X(send_null_message, yoke_send(world.port, NULL, 1, 0), EINVAL, "NULL")                        \
    X(send_too_big, yoke_send(world.port, world.buffer, 65, 0), EMSGSIZE, "up to 64")              \
    X(send_far_too_big, yoke_send(world.port, world.buffer, SIZE_MAX, 0), EMSGSIZE, "up to 64")    \
    X(send_time_out, yoke_send(world.port, "x", 1, -2), EINVAL, "time-out -2")                     \
    X(send_time_out_least, yoke_send(world.port, "x", 1, INT64_MIN), EINVAL, "time-out")           \
    X(send_priority, send_one(2, world.buffer, 1), EINVAL, "priority of port")                     \
    X(send_priority_most, send_one(~0u, world.buffer, 1), EINVAL, "4294967295")                    \
    X(send_many_null, yoke_send_many(world.port, NULL, 1, 0), EINVAL, "messages is NULL")          \
    X(send_many_null_port, yoke_send_many(NULL, NULL, 0, 0), EINVAL, "endpoint is NULL")           \
    X(loan_null, yoke_loan(NULL, 1, &outputs.block, 0), EINVAL, "NULL")                            \
    X(loan_output_null, yoke_loan(world.port, 1, NULL, 0), EINVAL, "ret_block")                    \
    X(loan_too_big, yoke_loan(world.port, 65, &outputs.block, 0), EMSGSIZE, "up to 64")            \
    X(loan_time_out, yoke_loan(world.port, 1, &outputs.block, -3), EINVAL, "-3")                   \
    X(commit_null, yoke_commit(NULL, world.loan, 1), EINVAL, "NULL")                               \
    X(commit_null_block, yoke_commit(world.port, NULL, 1), EINVAL, "NULL")                         \
    X(commit_null_empty, yoke_commit(world.port, NULL, 0), EINVAL, "not a loan")                   \
    X(commit_junk, yoke_commit(world.port, world.buffer, 1), EINVAL, "not a loan")                 \
    X(commit_borrowed, yoke_commit(world.port, (void *)(uintptr_t)world.borrowed, 1), EINVAL,      \
      "not a loan")                                                                                \
    X(commit_too_big, yoke_commit(world.port, world.loan, 65), EMSGSIZE, "up to 64")               \
    X(commit_many_null, yoke_commit_many(world.port, NULL, 2, 0), EINVAL, "NULL")                  \
    /* receiving */                                                                                \
    X(recv_null, yoke_recv(NULL, world.buffer, 64, 0), EINVAL, "NULL")                             \
    X(recv_buffer_null, yoke_recv(world.port, NULL, 64, 0), EINVAL, "buffer")                      \
    X(recv_buffer_small, yoke_recv(world.port, world.buffer, 4, 0), EMSGSIZE, "4 bytes")           \
    X(recv_buffer_none, yoke_recv(world.port, NULL, 0, YOKE_FOREVER), EMSGSIZE, "0 bytes")         \
    X(recv_time_out, yoke_recv(world.port, world.buffer, 64, -2), EINVAL, "time-out")              \
    X(recv_many_null, yoke_recv_many(world.port, NULL, 1, 0), EINVAL, "messages is NULL")          \
    X(recv_many_buffer_null, recv_one(NULL, 9), EINVAL, "9 bytes")                                 \
    X(recv_many_buffer_small, recv_one(world.buffer, 4), EMSGSIZE, "4 bytes")                      \
    X(borrow_null, yoke_borrow(NULL, &outputs.message, 0), EINVAL, "NULL")                         \
    X(borrow_output_null, yoke_borrow(world.port, NULL, 0), EINVAL, "ret_message")                 \
    X(borrow_time_out, yoke_borrow(world.port, &outputs.message, -9), EINVAL, "-9")                \
    X(borrow_many_null, yoke_borrow_many(world.port, NULL, 3, 0), EINVAL, "NULL")                  \
    X(release_null, yoke_release(NULL, world.borrowed), EINVAL, "NULL")                            \
    X(release_null_message, yoke_release(world.port, NULL), EINVAL, "neither")                     \
    X(release_junk, yoke_release(world.port, world.buffer), EINVAL, "neither")                     \
    X(release_inside, yoke_release(world.port, (const char *)world.borrowed + 1), EINVAL,          \
      "neither")                                                                                   \
    X(return_null, yoke_return(NULL, world.borrowed), EINVAL, "NULL")                              \
    X(return_loan, yoke_return(world.port, world.loan), EINVAL, "loan")                            \
    X(return_junk, yoke_return(world.port, &outputs), EINVAL, "neither")                           \
    X(cancel_null, yoke_cancel(NULL), EINVAL, "NULL")                                              \
    X(region_cancel_null, yoke_region_cancel(NULL), EINVAL, "NULL")                                \
    /* in regions */                                                                               \
    X(lock_null, yoke_lock_acquire(world.region, NULL, 0), EINVAL, "region:good")                  \
    X(lock_outside, yoke_lock_acquire(world.region, (yoke_lock *)world.buffer, 0), EINVAL,         \
      "region:good")                                                                               \
    X(lock_no_region, yoke_lock_acquire(NULL, (yoke_lock *)world.buffer, 0), EINVAL, "NULL")       \
    X(lock_read_only, yoke_lock_acquire(world.reader, yoke_region_data(world.reader), 0), EACCES,  \
      "read-only")                                                                                 \
    X(lock_not_held, yoke_lock_release(world.region, yoke_region_data(world.region)), EPERM,       \
      "does not hold")                                                                             \
    X(lock_time_out, yoke_lock_acquire(world.region, yoke_region_data(world.region), -2), EINVAL,  \
      "time-out")                                                                                  \
    X(semaphore_none, yoke_semaphore_acquire(world.region, yoke_region_data(world.region), 0),     \
      EINVAL, "no initialised")                                                                    \
    X(semaphore_no_units, yoke_semaphore_init(world.region, yoke_region_data(world.region), 0),    \
      EINVAL, "0 units")                                                                           \
    X(semaphore_null, yoke_semaphore_value(world.region, NULL), EINVAL, "region:good")             \
    X(event_null, yoke_event_notify(world.region, NULL), EINVAL, "region:good")                    \
    X(event_seen_null, yoke_event_wait(world.region, yoke_region_data(world.region), NULL, 0),     \
      EINVAL, "seen")

/* ---- how a row is tried ---------------------------------------------------------------------------- */

static int open_world(void **state)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;

    if (api_setup(state) != 0)
        return -1;
    world.buffer = calloc(1, 256);
    world.region = region_make("good", 4096);
    must(yoke_region_open(&world.reader, "good", YOKE_READ_ONLY));
    options.max_message = 64;
    options.priorities = 2;
    options.depth = 8;
    world.port = port_make("good", &options);
    must(yoke_send(world.port, "lent", 4, YOKE_NOW));
    must(yoke_borrow(world.port, &world.borrowed, YOKE_NOW));
    must(yoke_send(world.port, "0123456789", 10, YOKE_NOW));
    must(yoke_loan(world.port, 64, &world.loan, YOKE_NOW));
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    /* All of it is as it was: the message that waits, the borrowed one and the loan. */
    assert_int_equal(yoke_recv(world.port, world.buffer, 64, YOKE_NOW), 10);
    assert_memory_equal(world.buffer, "0123456789", 10);
    assert_memory_equal(world.borrowed, "lent", 4);
    must(yoke_release(world.port, world.borrowed));
    must(yoke_commit(world.port, world.loan, 1));
    yoke_close(world.port);
    yoke_region_close(world.reader);
    yoke_region_close(world.region);
    free(world.buffer);
    assert_int_equal(names_left(), 0);
    return 0;
}

/* A call with what it must return and say, in a world that it must not change. */
static void assert_refused(int64_t (*call)(void), int error, const char *part)
{
    char *before = world_describe(), *after, first = *(char *)yoke_region_data(world.region);
    int64_t result;

    outputs = (struct outputs){UNTOUCHED, UNTOUCHED, UNTOUCHED, UNTOUCHED};
    errno = ERRNO;
    result = call();
    assert_int_equal(errno, ERRNO);
    must_fail(result, error);
    if (!strstr(yoke_explain(), part))
        fail_msg("\"%s\" says nothing of \"%s\"", yoke_explain(), part);
    assert_ptr_equal(outputs.region, UNTOUCHED);
    assert_ptr_equal(outputs.endpoint, UNTOUCHED);
    assert_ptr_equal(outputs.block, UNTOUCHED);
    assert_ptr_equal(outputs.message, UNTOUCHED);
    after = world_describe();
    assert_string_equal(after, before);
    assert_int_equal(*(char *)yoke_region_data(world.region), first);
    free(before);
    free(after);
}

#define DEFINE_ROW(name, expression, error, part) \
    static int64_t call_##name(void)              \
    {                                             \
        return (expression);                      \
    }                                             \
    static void name##_is_refused(void **state)   \
    {                                             \
        (void)state;                              \
        assert_refused(call_##name, error, part); \
    }
ROWS(DEFINE_ROW)

/* ---- sentences -------------------------------------------------------------------------------------- */

static void sentence_stays_through_answers_that_are_no_faults(void **state)
{
    char before[600], byte;
    yoke_endpoint *port = port_make("quiet", NULL);

    (void)state;
    must_fail(yoke_region_remove("gone-for-good"), ENOENT);
    snprintf(before, sizeof before, "%s", yoke_explain());
    must_fail(yoke_recv(port, &byte, 1, YOKE_NOW), EAGAIN);
    must_fail(yoke_recv(port, &byte, 1, MS), ETIMEDOUT);
    must(yoke_send(port, "x", 1, YOKE_NOW));
    assert_string_equal(yoke_explain(), before);
    assert_non_null(strstr(before, "gone-for-good"));
    yoke_close(port);
}

static int64_t explain_in_a_new_thread(void *argument)
{
    (void)argument;
    if (!yoke_explain() || yoke_explain()[0] != 0)
        return -1;
    yoke_region_remove(NULL);
    return strstr(yoke_explain(), "NULL") ? 0 : -2;
}

static void each_thread_has_a_sentence_of_its_own(void **state)
{
    struct worker worker;

    (void)state;
    must_fail(yoke_region_remove("mine"), ENOENT);
    worker_start(&worker, explain_in_a_new_thread, NULL);
    assert_int_equal(worker_join(&worker), 0);
    assert_non_null(strstr(yoke_explain(), "mine"));
}

static void every_error_has_a_meaning_in_words(void **state)
{
    static const int errors[] = {EAGAIN,     ETIMEDOUT, EINTR,           ECANCELED,   EOWNERDEAD,
                                 EPIPE,      EPROTO,    EPROTONOSUPPORT, EMSGSIZE,    ENOSPC,
                                 EEXIST,     EBUSY,     EDEADLK,         EPERM,       ENOENT,
                                 EADDRINUSE, EACCES,    EINVAL,          ENOMEM,      EMFILE,
                                 ENFILE,     ENOTSUP,   ECOMM,           EHOSTUNREACH};

    (void)state;
    for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
        const char *meaning = yoke_strerror(errors[i]);

        assert_true(strlen(meaning) > 3);
        assert_string_equal(yoke_strerror(-errors[i]), meaning);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(yoke_strerror(errors[j]), meaning);
    }
    assert_non_null(yoke_strerror(0));
    assert_non_null(yoke_strerror(123456));
    assert_non_null(yoke_strerror(INT32_MIN));
}

#define LIST_ROW(name, expression, error, part) cmocka_unit_test(name##_is_refused),

int main(void)
{
    const struct CMUnitTest tests[] = {
        ROWS(LIST_ROW) cmocka_unit_test(sentence_stays_through_answers_that_are_no_faults),
        cmocka_unit_test(each_thread_has_a_sentence_of_its_own),
        cmocka_unit_test(every_error_has_a_meaning_in_words),
    };

    return cmocka_run_group_tests(tests, open_world, close_world);
}
