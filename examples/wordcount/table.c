/*
 * table.c - how often each word was seen: a hash table with open addressing.
 *
 * A worker uses one for each line and clears it again, so clearing costs only as much as the table
 * holds. The collector's one grows with the number of different words.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* qsort_r */
#endif
#include <stdlib.h>
#include <string.h>

#include "wordcount.h"

#define FIRST_SLOTS 64u /* a power of two, as all sizes of the slots are */

static uint32_t hash_of(const char *word, size_t length)
{
    uint32_t hash = 2166136261u; /* FNV-1a */

    for (size_t i = 0; i < length; i++)
        hash = (hash ^ (unsigned char)word[i]) * 16777619u;
    return hash ^ hash >> 15;
}

static void *grow(void *memory, size_t *room, size_t needed, size_t element)
{
    size_t more = *room ? *room : 64;

    while (more < needed)
        more *= 2;
    memory = realloc(memory, more * element);
    if (memory)
        *room = more;
    return memory;
}

static void put_in_slot(struct table *table, size_t index)
{
    uint32_t mask = (uint32_t)table->slot_count - 1;
    uint32_t slot = table->words[index].hash & mask;

    while (table->slots[slot])
        slot = (slot + 1) & mask;
    table->slots[slot] = (uint32_t)index + 1;
    table->words[index].slot = slot;
}

/* Keeps at least half of the slots free. */
static int more_slots(struct table *table)
{
    size_t count = table->slot_count ? 2 * table->slot_count : FIRST_SLOTS;
    uint32_t *slots = calloc(count, sizeof *slots);

    if (!slots)
        return -1;
    free(table->slots);
    table->slots = slots;
    table->slot_count = count;
    for (size_t i = 0; i < table->used; i++)
        put_in_slot(table, i);
    return 0;
}

static struct word *find(const struct table *table, const char *word, size_t length, uint32_t hash)
{
    uint32_t mask = (uint32_t)table->slot_count - 1;

    for (uint32_t slot = hash & mask; table->slots[slot]; slot = (slot + 1) & mask) {
        struct word *seen = &table->words[table->slots[slot] - 1];

        if (seen->hash == hash && seen->length == length &&
            memcmp(table->bytes + seen->offset, word, length) == 0)
            return seen;
    }
    return NULL;
}

/* Makes room for one word of `length` bytes. */
static int make_room(struct table *table, size_t length)
{
    if (table->used == table->room) {
        void *words = grow(table->words, &table->room, table->used + 1, sizeof *table->words);

        if (!words)
            return -1;
        table->words = words;
    }
    if (table->bytes_used + length > table->bytes_room) {
        void *bytes = grow(table->bytes, &table->bytes_room, table->bytes_used + length, 1);

        if (!bytes)
            return -1;
        table->bytes = bytes;
    }
    return 0;
}

int table_add(struct table *table, const char *word, size_t length, uint64_t count)
{
    uint32_t hash = hash_of(word, length);
    struct word *seen;

    if (2 * table->used >= table->slot_count && more_slots(table) < 0)
        return -1;
    seen = find(table, word, length, hash);
    if (seen) {
        seen->count += count;
        return 0;
    }
    if (make_room(table, length) < 0)
        return -1;
    memcpy(table->bytes + table->bytes_used, word, length);
    table->words[table->used] = (struct word){
        .offset = table->bytes_used, .length = (uint32_t)length, .hash = hash, .count = count};
    table->bytes_used += length;
    put_in_slot(table, table->used++);
    return 0;
}

void table_clear(struct table *table)
{
    for (size_t i = 0; i < table->used; i++)
        table->slots[table->words[i].slot] = 0;
    table->used = 0;
    table->bytes_used = 0;
}

void table_free(struct table *table)
{
    free(table->words);
    free(table->slots);
    free(table->bytes);
}

static int compare_words(const void *left, const void *right, void *bytes)
{
    const struct word *a = left, *b = right;
    size_t shorter = a->length < b->length ? a->length : b->length;
    int order = memcmp((char *)bytes + a->offset, (char *)bytes + b->offset, shorter);

    return order ? order : (a->length > b->length) - (a->length < b->length);
}

int table_write(struct table *table, FILE *out)
{
    if (table->used)
        qsort_r(table->words, table->used, sizeof *table->words, compare_words, table->bytes);
    for (size_t i = 0; i < table->used; i++) {
        const struct word *word = &table->words[i];

        fprintf(out, "%llu ", (unsigned long long)word->count);
        fwrite(table->bytes + word->offset, 1, word->length, out);
        putc('\n', out);
    }
    return fflush(out) || ferror(out) ? -1 : 0;
}
