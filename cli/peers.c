/*
 * peers.c - yoke peers: who is there.
 */
#include "cli.h"
#include "facts.h"
#include "inspect.h"
#include "json.h"
#include "options.h"
#include "output.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yoke.h>

static const struct yk_usage usage = {
    "peers",
    "Usage: yoke peers [--place PLACE] [--json]\n"
    "Lists the peers that are there now: living processes that have joined under a\n"
    "name. The pid is that of the process which holds the name, as the kernel shows.\n\n"
    "  SIGNALS   where it takes signals, memory, kernel or nats ('yoke signal\n"
    "            peer:NAME' or peer:NAME@PLACE); '-': it takes none\n"
    "  WAITING   how many wait there; '?': the kernel does not tell\n"
    "\n"
    "  --place P  those in that place: memory, or nats://HOST:PORT…, where the pid is\n"
    "             as the process says itself, on its machine\n"
    "  --json     an array of objects; signals is there if the peer takes any\n"
    "\n"
    "Example:\n"
    "  yoke peers\n",
};

enum { JSON = YK_OPTION_FIRST, PLACE };

static const struct option options[] = {
    {"json", no_argument, NULL, JSON}, {"place", required_argument, NULL, PLACE}, YK_OPTION_END};

static const struct yk_column columns[] = {
    {"PEER", false}, {"PID", true},      {"USER", false},
    {"AGE", true},   {"SIGNALS", false}, {"WAITING", true},
};

static int by_name(const void *a, const void *b)
{
    const struct yoke_peer_info *first = a, *second = b;

    return strcmp(first->name, second->name);
}

/* All of them; the caller frees *ret_peers. Their number or a negative errno. */
static ssize_t list(const char *place, struct yoke_peer_info **ret_peers)
{
    size_t capacity = 64;

    for (;;) {
        struct yoke_peer_info *peers = yk_grow(NULL, capacity * sizeof *peers);
        ssize_t count = yk_inspect_peers(place, peers, capacity);
        if (count >= 0 && (size_t)count <= capacity) {
            qsort(peers, (size_t)count, sizeof *peers, by_name);
            *ret_peers = peers;
            return count;
        }
        free(peers);
        if (count < 0)
            return count;
        capacity = (size_t)count * 2; /* some more may come meanwhile */
    }
}

/* Of a peer in a place across machines: the one there, and not one of the same name in memory. */
static bool find_inbox(const char *place, const char *peer, struct yk_object_facts *ret)
{
    char address[YK_ADDRESS_TEXT];

    if (!strstr(place, "://"))
        return yk_inspect_inbox(peer, ret) == 0;
    snprintf(address, sizeof address, "signals:%s@%s", peer, place);
    return yk_inspect(address, ret, NULL, NULL) == 0 && ret->attended;
}

static void print_json(const char *place, const struct yoke_peer_info *peers, size_t count)
{
    yk_json *array = yk_json_array();
    struct yk_object_facts inbox;

    for (size_t i = 0; i < count; i++) {
        yk_json *object = yk_json_object();
        yk_json_string(object, "name", peers[i].name);
        yk_json_signed(object, "pid", peers[i].pid);
        yk_json_unsigned(object, "uid", peers[i].uid);
        yk_json_real(object, "joined", (double)peers[i].joined_ns / 1e9);
        if (find_inbox(place, peers[i].name, &inbox))
            yk_facts_add_inbox(object, &inbox);
        yk_json_append(array, object);
    }
    yk_json_print(array);
}

static void add_inbox(struct yk_table *table, const char *place, const char *peer)
{
    struct yk_object_facts inbox;
    bool is = find_inbox(place, peer, &inbox);

    yk_table_add(table, "%s", !is ? "-" : inbox.place[0] ? inbox.place : "memory");
    if (is && yk_facts_has_count(&inbox))
        yk_table_add(table, "%" PRIu64, inbox.waiting);
    else
        yk_table_add(table, is ? "?" : "-");
}

static void print_table(const char *place, const struct yoke_peer_info *peers, size_t count)
{
    struct yk_table table;
    char user[YK_OWNER_TEXT], age[YK_AGE_TEXT];

    yk_table_init(&table, columns, sizeof columns / sizeof columns[0]);
    for (size_t i = 0; i < count; i++) {
        yk_table_add(&table, "%s", peers[i].name);
        if (peers[i].pid > 0)
            yk_table_add(&table, "%" PRId32, peers[i].pid);
        else
            yk_table_add(&table, "?");
        yk_table_add(&table, "%s", yk_format_user(user, peers[i].uid));
        yk_table_add(&table, "%s", yk_format_age(age, peers[i].joined_ns));
        add_inbox(&table, place, peers[i].name);
    }
    yk_table_print(&table);
    yk_table_fini(&table);
}

int yk_peers_main(int argc, char **argv)
{
    struct yoke_peer_info *peers = NULL;
    const char *place = getenv("YOKE_PLACE");
    bool json = false;
    int option;
    ssize_t count;

    place = place && strstr(place, "://") ? place : "memory";
    while ((option = yk_option_next(&usage, argc, argv, ":h", options)) >= 0) {
        if (option == PLACE) {
            place = optarg;
            continue;
        }
        yk_json_require(&usage);
        json = true;
    }
    yk_arguments_check(&usage, argc, 0, 0, "argument");
    count = list(place, &peers);
    if (count < 0)
        return yk_report((int)count);
    if (json)
        print_json(place, peers, (size_t)count);
    else
        print_table(place, peers, (size_t)count);
    free(peers);
    return YK_DONE;
}
