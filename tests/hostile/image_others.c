/*
 * image_others.c - regions, peers, inboxes and names that are hostile. See image_fuzz.c.
 */
#include "image.h"

#include <string.h>
#include <unistd.h>

#include "guards.h"
#include "inspect.h"

/* ---- regions ---------------------------------------------------------------------------------------- */

static void call_region(yoke_region *region, struct input *input, uint8_t call)
{
    unsigned char *data = yoke_region_data(region);
    uint8_t more = next8(input);
    int64_t timeout_ns = time_out(more);
    /* where honest ones have them, and anywhere */
    size_t offset = more & 64 ? next_number(input, 2) * 8 % (yoke_region_size(region) + 64) : 0;
    yoke_lock *lock = (yoke_lock *)(data + offset);
    yoke_semaphore *semaphore = (yoke_semaphore *)(data + (offset ? offset : 64));
    yoke_event *event = (yoke_event *)(data + (offset ? offset : 512));
    uint64_t seen = more & 1 ? yoke_event_count(region, event) : 0;

    switch (call % 8) {
    case 0:
        known(yoke_lock_acquire(region, lock, timeout_ns));
        break;
    case 1:
        known(yoke_lock_release(region, lock));
        break;
    case 2:
        known(yoke_semaphore_acquire(region, semaphore, timeout_ns));
        break;
    case 3:
        known(yoke_semaphore_release(region, semaphore));
        break;
    case 4:
        known(yoke_semaphore_value(region, semaphore));
        break;
    case 5:
        known(yoke_event_notify(region, event));
        break;
    case 6:
        known(yoke_event_wait(region, event, &seen, timeout_ns));
        break;
    default:
        inspect("region:region");
    }
}

void attack_region(const struct subject *subject, struct input *input)
{
    yoke_region *regions[2] = {NULL, NULL};
    bool tried = false;

    for (int calls = 0; input->at < input->size && calls < CALLS_MOST;) {
        uint8_t command = next8(input);
        if (command < 128) {
            edit(subject, input, command);
            continue;
        }
        for (int i = 0; i < 2 && !tried; i++) {
            known(yoke_region_open(&regions[i], "region", i ? command & YOKE_READ_ONLY : 0));
            if (regions[i]) /* all of it is there */
                read_bytes(yoke_region_data(regions[i]), yoke_region_size(regions[i]));
        }
        tried = true;
        if (regions[command >> 6 & 1])
            call_region(regions[command >> 6 & 1], input, command);
        calls++;
    }
    for (int i = 0; i < 2; i++)
        insist(yoke_region_close(regions[i]) == 0, "closing failed");
}

/* ---- peers, signals --------------------------------------------------------------------------------- */

void attack_peer(const struct subject *subject, struct input *input)
{
    struct yoke_peer_info infos[8];

    for (int calls = 0; input->at < input->size && calls < CALLS_MOST;) {
        uint8_t command = next8(input);
        yoke_peer *peer = NULL;
        if (command < 128) {
            edit(subject, input, command);
            continue;
        }
        calls++;
        switch (command & 7) {
        case 0:
            known(yoke_peer_wait("carol", YOKE_PEER_HERE, time_out(command)));
            break;
        case 1:
            known(yoke_peer_wait("carol", YOKE_PEER_GONE, time_out(command)));
            break;
        case 2: {
            ssize_t count = (ssize_t)known(yoke_peer_list(infos, 8));
            for (ssize_t i = 0; i < count && i < 8; i++)
                insist(strnlen(infos[i].name, sizeof infos[i].name) <= YOKE_PEER_NAME_MAX,
                       "a name has no end");
            break;
        }
        case 3:
            if (command == 251) { /* waits for 20 ms */
                known(yoke_peer_join(&peer, "carol", NULL));
                insist(!peer, "carol is somebody else, who lives");
            }
            break;
        case 4:
            if (command == 252 && calls == 1) /* reads all of /proc */
                known(yoke_signal_kill("carol", 0));
            break;
        case 5:
            known(yoke_signal_send(NULL, "carol", command, 1));
            break;
        case 6: {
            yoke_endpoint *link = NULL;
            known(yoke_peer_accept(image_peers[0], &link, NULL, YOKE_NOW));
            if (link) {
                receive(link, 64, YOKE_NOW);
                send_some(link, 16, YOKE_NOW);
            }
            yoke_close(link);
            break;
        }
        default:
            inspect(subject->address);
        }
    }
}

/* An inbox is made anew each time that it is opened, so what is attacked is this one. */
void attack_inbox(const struct subject *nothing, struct input *input)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    struct subject subject = {.what = "port"};
    yoke_endpoint *inbox = NULL;
    struct yoke_signal signal;

    (void)nothing;
    options.depth = 4;
    options.participants = 3;
    options.spin_ns = 0;
    must(yoke_signals_open(&inbox, image_peers[0], 0, &options));
    must(yoke_signal_send(image_peers[1], "alice", 1, 2));
    subject.view = attack_segment(segment_of("signals.alice"), &subject.size);
    insist(subject.view, "no segment");
    for (int calls = 0; input->at < input->size && calls < CALLS_MOST;) {
        uint8_t command = next8(input);
        if (command < 128) {
            edit(&subject, input, command);
            continue;
        }
        calls++;
        switch (command & 3) {
        case 0:
            known(yoke_signal_send(command & 64 ? image_peers[1] : NULL, "alice", command, 3));
            break;
        case 1:
        case 2:
            if (known(yoke_signal_recv(inbox, &signal, time_out(command))) == 0)
                insist(strnlen(signal.sender, sizeof signal.sender) <= YOKE_PEER_NAME_MAX,
                       "a name has no end");
            break;
        default:
            if (command & 64)
                inspect("signals:alice");
            else
                known(yoke_fd(inbox));
        }
    }
    insist(yoke_close(inbox) == 0, "closing failed");
    attack_segment_end(subject.view);
    yoke_signal_send(NULL, "alice", 1, 1); /* finds out that it is gone, and lets go of it */
}

/* ---- names ------------------------------------------------------------------------------------------ */

static void use_name(const char *const addresses[], size_t which, uint8_t call)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *end = NULL;
    yoke_region *region = NULL;
    struct yk_gc_item *items = NULL;
    const char *address = addresses[which];

    options.spin_ns = 0;
    options.as = strncmp(address, "link", 4) == 0 ? "alice" : NULL;
    switch (call % 8) {
    case 0:
    case 1:
        known(yoke_open(&end, address, which == 2 ? YOKE_READ : 0, &options));
        if (end)
            receive(end, 64, YOKE_NOW);
        yoke_close(end);
        break;
    case 2:
        known(yoke_region_open(&region, "bait", call & YOKE_READ_ONLY));
        yoke_region_close(region);
        break;
    case 3:
        known(yoke_remove(address));
        break;
    case 4:
        known(yoke_peer_list(NULL, 0));
        known(yoke_peer_wait("bait", YOKE_PEER_HERE, YOKE_NOW));
        known(yoke_signal_send(NULL, "bait", 1, 1));
        known(yoke_signal_kill("bait", 0));
        break;
    case 5:
        inspect(address);
        break;
    case 6: {
        struct yk_object_facts *facts = NULL;
        if (known(yk_inspect_list(&facts)) >= 0)
            free(facts);
        break;
    }
    default:
        if (known(yk_gc(true, &items)) >= 0)
            free(items);
    }
}

/*
 * A record of a living object's, the model, with one number or some bytes changed; or just bytes. Who
 * may write names as the model's owner may remove the model, or its files, by them, so it is made anew now
 * and then.
 */
void attack_names(const struct subject *nothing, struct input *input)
{
    static const char *const entries[] = {"port.bait",        "region.bait",
                                          "stream.bait",      "peer.bait",
                                          "signals.bait",     "link.alice@bait",
                                          "port.bait@kernel", "stream.bait@kernel"};
    static const char *const addresses[] = {"port:bait",        "region:bait",       "stream:bait",
                                            "peer:bait",        "signals:bait",      "link:bait",
                                            "port:bait@kernel", "stream:bait@kernel"};
    char text[1000], live[64] = "";
    uint8_t which = next8(input) % 8, how = next8(input);
    size_t size = strlen(image_model);
    char *name;

    (void)nothing;
    strcpy(text, image_model);
    name = strstr(text, " model ");
    if (how & 1) { /* the kind and the name as they should be */
        char rest[1000];
        const char *kind = strcspn(entries[which], ".") ? entries[which] : "port";
        snprintf(rest, sizeof rest, "%s", name + strlen(" model "));
        size =
            (size_t)snprintf(text, sizeof text, "yoke2 %.*s%s %s %s", (int)strcspn(kind, "."), kind,
                             which >= 6 ? "@kernel" : "", which == 5 ? "alice@bait" : "bait", rest);
        if (strlen(text) < size)
            size = strlen(text);
    }
    for (uint8_t edits = how >> 5; edits > 0; edits--) {
        size_t at = next_number(input, 2) % size;
        if (edits & 1)
            text[at] = (char)next8(input);
        else
            text[at] = (char)('0' + next8(input) % 10);
    }
    if (how & 2) { /* a number more */
        char *number = strchr(text + next8(input) % size, '=');
        if (number && number[1])
            number[1] = (char)(number[1] ^ (1 << next8(input) % 4));
    }
    if (how & 4) {
        size = input->size - input->at < sizeof text ? input->size - input->at : sizeof text;
        memcpy(text, input->data + input->at, size);
    } else if (how & 8) {
        size = next_number(input, 2) % (size + 1);
    }
    write_entry(entries[which], text, size);
    if (how & 16) { /* a lock file that is there: the sentinel's own is not touched by that */
        snprintf(live, sizeof live, ".live-%016llx", (unsigned long long)next8(input));
        write_entry(live, "", 0);
    }
    for (int calls = 0; input->at < input->size && calls < 8; calls++)
        use_name(addresses, which, next8(input));
    for (size_t i = 0; i < 8; i++)
        unlink(path_of(entries[i]));
    if (live[0])
        unlink(path_of(live));
}
