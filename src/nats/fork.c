/*
 * fork.c - see fork.h.
 */
#include "fork.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define VARIABLES_MOST (1u << 20) /* bytes; a library with more is none that this was tried with */
#define GUARDED_MOST   64         /* connections; those beyond stay open in children */

static struct {
    unsigned char *variables, *as_new; /* the client's, and a copy */
    size_t size;
    unsigned forks;
    void (*in_child)(void);
    struct {
        int fd;
        ino_t socket; /* 0: none; the number may be another file's since */
    } guarded[GUARDED_MOST];
    pthread_mutex_t mutex; /* of `guarded` */
} state = {.mutex = PTHREAD_MUTEX_INITIALIZER};

pthread_mutex_t yk_nats_reopening = PTHREAD_MUTEX_INITIALIZER;

/* ---- the client's variables ------------------------------------------------------------------ */

static bool is_in(const struct dl_phdr_info *library, const ElfW(Phdr) * header,
                  const void *address)
{
    uintptr_t begin = library->dlpi_addr + header->p_vaddr;

    return (uintptr_t)address >= begin && (uintptr_t)address < begin + header->p_memsz;
}

/* What the loader made read-only is at the front of the writable segment, and is not the library's to change. */
static void take_segment(const struct dl_phdr_info *library, const ElfW(Phdr) * segment)
{
    uintptr_t begin = library->dlpi_addr + segment->p_vaddr, end = begin + segment->p_memsz;
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

    for (int i = 0; i < library->dlpi_phnum; i++) {
        const ElfW(Phdr) *header = &library->dlpi_phdr[i];
        if (header->p_type == PT_GNU_RELRO &&
            is_in(library, segment, (void *)(library->dlpi_addr + header->p_vaddr)))
            begin =
                (library->dlpi_addr + header->p_vaddr + header->p_memsz + page - 1) / page * page;
    }
    state.variables = begin < end ? (unsigned char *)begin : NULL;
    state.size = begin < end ? end - begin : 0;
}

static int find_client(struct dl_phdr_info *library, size_t size, void *context)
{
    bool is_it = false;

    (void)size;
    for (int i = 0; i < library->dlpi_phnum; i++)
        is_it = is_it || (library->dlpi_phdr[i].p_type == PT_LOAD &&
                          is_in(library, &library->dlpi_phdr[i], context));
    for (int i = 0; is_it && i < library->dlpi_phnum; i++)
        if (library->dlpi_phdr[i].p_type == PT_LOAD && library->dlpi_phdr[i].p_flags & PF_W)
            take_segment(library, &library->dlpi_phdr[i]);
    return is_it;
}

/* Of a socket its number, which no other has; 0: it is none. */
static ino_t socket_of(int fd)
{
    struct stat facts;

    return fstat(fd, &facts) == 0 && S_ISSOCK(facts.st_mode) ? facts.st_ino : 0;
}

/* In the child, which has one thread: this one. Others may have had the locks when it was made. */
static void begin_anew(void)
{
    memcpy(state.variables, state.as_new, state.size);
    for (int i = 0; i < GUARDED_MOST; i++)
        if (state.guarded[i].socket != 0 &&
            socket_of(state.guarded[i].fd) == state.guarded[i].socket)
            close(state.guarded[i].fd);
    memset(state.guarded, 0, sizeof state.guarded);
    pthread_mutex_init(&state.mutex, NULL);
    pthread_mutex_init(&yk_nats_reopening, NULL);
    state.forks++;
    state.in_child();
}

int yk_nats_fork_init(void)
{
    natsStatus (*any)(int64_t) = nats_Open;
    void *address;

    memcpy(&address, &any, sizeof address);
    dl_iterate_phdr(find_client, address);
    if (!state.variables || state.size > VARIABLES_MOST)
        return yk_fail(ENOTSUP,
                       "the variables of libnats, which a forked child would need, are not found");
    state.as_new = malloc(state.size);
    if (!state.as_new)
        return yk_fail(ENOMEM, "no memory for a connection");
    memcpy(state.as_new, state.variables, state.size);
    int error = pthread_atfork(NULL, NULL, begin_anew);
    return error ? yk_fail(error, "no memory for a connection") : 0;
}

void yk_nats_fork_call(void (*in_child)(void))
{
    state.in_child = in_child;
}

unsigned yk_nats_forks(void)
{
    return state.forks;
}

/* ---- its connections ------------------------------------------------------------------------- */

static int port_of(int fd)
{
    struct sockaddr_storage address;
    socklen_t length = sizeof address;

    if (getsockname(fd, (struct sockaddr *)&address, &length) < 0)
        return -1;
    if (address.ss_family == AF_INET)
        return ntohs(((struct sockaddr_in *)&address)->sin_port);
    return address.ss_family == AF_INET6 ? ntohs(((struct sockaddr_in6 *)&address)->sin6_port) : -1;
}

static void guard(int fd)
{
    int free = -1;

    fcntl(fd, F_SETFD, FD_CLOEXEC);
    for (int i = 0; i < GUARDED_MOST; i++) {
        if (socket_of(state.guarded[i].fd) != state.guarded[i].socket || state.guarded[i].fd == fd)
            state.guarded[i].socket = 0; /* an older one, closed since */
        free = state.guarded[i].socket == 0 ? i : free;
    }
    if (free >= 0) {
        state.guarded[free].fd = fd;
        state.guarded[free].socket = socket_of(fd);
    }
}

/* The client does not tell its descriptor, but the port of its end. */
struct yk_wire yk_nats_fork_guard(natsConnection *connection)
{
    struct yk_wire wire = {.fd = -1};
    char *address = NULL;
    DIR *directory = NULL;

    if (natsConnection_GetLocalIPAndPort(connection, &address, &wire.port) == NATS_OK &&
        wire.port > 0)
        directory = opendir("/proc/self/fd");
    free(address);
    pthread_mutex_lock(&state.mutex);
    for (struct dirent *entry; directory && (entry = readdir(directory)) != NULL;) {
        int fd = atoi(entry->d_name);
        if (fd == dirfd(directory) || port_of(fd) != wire.port)
            continue;
        guard(fd);
        wire.fd = fd;
    }
    pthread_mutex_unlock(&state.mutex);
    if (directory)
        closedir(directory);
    return wire;
}

void yk_nats_wire_cork(struct yk_wire wire, bool on)
{
    int value = on;

    if (wire.fd >= 0 && port_of(wire.fd) == wire.port)
        setsockopt(wire.fd, IPPROTO_TCP, TCP_CORK, &value, sizeof value);
}
