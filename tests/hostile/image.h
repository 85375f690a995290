/* image.h - what the parts of image_fuzz.c share. */
#ifndef HOSTILE_IMAGE_H
#define HOSTILE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "yoke.h"

#define CALLS_MOST  48    /* in one input */
#define BUFFER_MOST 10000 /* bytes of a message that are read or written */

#define insist(condition, ...)                                                      \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition); \
            fprintf(stderr, __VA_ARGS__);                                           \
            fprintf(stderr, "\n");                                                  \
            abort();                                                                \
        }                                                                           \
    } while (0)

struct input {
    const uint8_t *data;
    size_t size, at;
};

uint8_t next8(struct input *input);
uint64_t next_number(struct input *input, unsigned bytes);

struct subject {
    const char *what;    /* for people */
    const char *entry;   /* in the name directory; NULL: `fds` are its descriptors */
    const char *address; /* of its first end */
    uint32_t flags;      /* for opening it */
    int fds[2];
    uint8_t *view; /* the attacker's mapping */
    size_t size;
    uint8_t *pristine; /* what honest ones left there */
    uint32_t *words;   /* places that matter: offsets in bytes, multiples of 4 */
    size_t words_count;
};

extern char image_directory[400]; /* the name directory */
extern char image_model[1000];    /* the record of the model: see attack_names() */
extern yoke_peer *image_peers[2]; /* "alice" and "bob", who are this very process */

const char *path_of(const char *entry);
size_t read_entry(const char *entry, char *text, size_t room);
void write_entry(const char *entry, const void *text, size_t size);
/* The segment that a record leads to. */
int segment_of(const char *entry);

/* Whatever yoke.h says of a call, this is what it may return: the result. */
int64_t known(int64_t result);
/* It must succeed. */
int64_t must(int64_t result);

/* Writes something into the memory, as a peer that may write it. */
void edit(const struct subject *subject, struct input *input, uint8_t how);
/* As honest ones left it. */
void restore(const struct subject *subject);

/* Honest calls (image_endpoints.c). */
int64_t time_out(uint8_t choice);
uint64_t read_bytes(const void *bytes, size_t size);
void send_some(yoke_endpoint *end, size_t size, int64_t timeout_ns);
void receive(yoke_endpoint *end, size_t capacity, int64_t timeout_ns);
void inspect(const char *address);
int open_end(const struct subject *subject, int which, yoke_endpoint **ret);

/* An input for one kind each. */
void attack_endpoint(const struct subject *subject, struct input *input);
void attack_region(const struct subject *subject, struct input *input);
void attack_peer(const struct subject *subject, struct input *input);
void attack_inbox(const struct subject *nothing, struct input *input);
void attack_names(const struct subject *nothing, struct input *input);

#endif
