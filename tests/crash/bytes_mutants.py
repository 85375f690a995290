#!/usr/bin/env python3
"""Deliberate faults in the ring of streams: can the checkers of this directory see at all? See mutants.py.

usage: bytes_mutants.py [--cc CC] [--source DIR] [--only NAME,...] [--jobs N] [--seed N] [--seconds N] [--long]
"""
import sys

import mutants

MUTANTS = [
    # name, what is wrong, [(old, new), ...]
    ("written-before-bytes", "`written` is stored before the bytes", [
        ("    memcpy(piece, data, first);\n", "    yk_bytes_count(ring, YK_BYTES_WRITING, size);\n"
         "    memcpy(piece, data, first);\n"),
        ("        memcpy(ring->bytes, (const unsigned char *)data + first, size - first);\n"
         "    yk_bytes_count(ring, YK_BYTES_WRITING, size);",
         "        memcpy(ring->bytes, (const unsigned char *)data + first, size - first);")]),
    ("read-before-copy", "`read` is stored before the bytes are copied", [
        ("    memcpy(buffer, piece, first);\n", "    yk_bytes_count(ring, YK_BYTES_READING, size);\n"
         "    yk_check_yield();\n    memcpy(buffer, piece, first);\n"),
        ("        memcpy((unsigned char *)buffer + first, ring->bytes, size - first);\n"
         "    yk_bytes_count(ring, YK_BYTES_READING, size);",
         "        memcpy((unsigned char *)buffer + first, ring->bytes, size - first);")]),
    ("second-part-after", "what goes around the end is copied after `written` is stored", [
        ("    if (first < size)\n        memcpy(ring->bytes, (const unsigned char *)data + first, size - first);\n"
         "    yk_bytes_count(ring, YK_BYTES_WRITING, size);",
         "    yk_bytes_count(ring, YK_BYTES_WRITING, size);\n    yk_check_yield();\n"
         "    if (first < size)\n        memcpy(ring->bytes, (const unsigned char *)data + first, size - first);")]),
    ("enter-by-store", "who goes in stores its name without a compare-and-swap", [
        ("!yk_cas_seq(inside, &nobody, me))", "(yk_store_release(inside, me), nobody != 0))")]),
    ("enter-always", "whoever comes goes in", [
        ("yk_load_seq(inside) != 0 || !yk_cas_seq(inside, &nobody, me)", "(yk_store_release(inside, me), nobody != 0)")]),
    ("at-before-inside", "how far a side is is read before it is entered", [
        ("    uint64_t nobody = 0;\n", "    uint64_t nobody = 0;\n"
         "    uint64_t early = yk_load_acquire(side == YK_BYTES_WRITING ? &ring->shm->written : &ring->shm->read);\n"),
        ("    ring->at[side] = yk_load_acquire(own);", "    (void)own;\n    ring->at[side] = early;")]),
    ("at-once", "how far a side is is read only once", [
        ("    ring->at[side] = yk_load_acquire(own);",
         "    if (ring->at[side] == 0)\n        ring->at[side] = yk_load_acquire(own);")]),
    ("leave-not", "who is done stays inside", [
        ("    yk_store_release(&ring->shm->sides[side].inside, 0);", "    (void)ring, (void)side;")]),
    ("leave-both", "who leaves opens both sides", [
        ("    yk_store_release(&ring->shm->sides[side].inside, 0);",
         "    yk_store_release(&ring->shm->sides[side].inside, 0);\n"
         "    yk_store_release(&ring->shm->sides[1 - side].inside, 0);")]),
    ("expel-by-store", "who recovers expels a successor, too", [
        ("        yk_cas_seq(&ring->shm->sides[side].inside, &dead, 0);",
         "        yk_store_release(&ring->shm->sides[side].inside, 0);")]),
    ("recover-one-side", "recovery forgets the writing side", [
        ("    for (enum yk_bytes_side side = YK_BYTES_READING; side <= YK_BYTES_WRITING; side++) {\n"
         "        uint64_t inside = yk_bytes_inside(ring, side);",
         "    for (enum yk_bytes_side side = YK_BYTES_READING; side <= YK_BYTES_READING; side++) {\n"
         "        uint64_t inside = yk_bytes_inside(ring, side);")]),
    ("recover-anybody", "recovery expels whoever is inside", [
        ("        if ((inside & YK_BYTES_SLOT) == slot)\n", "        (void)slot;\n")]),
    ("seen-for-ever", "a `read` that was seen is never looked at again", [
        ("    ring->seen[side] = yk_load_seq(writing ? &ring->shm->read : &ring->shm->written);\n",
         "    if (!writing)\n        ring->seen[side] = yk_load_seq(&ring->shm->written);\n")]),
    ("seen-unchecked", "what was seen is believed though it is older than this side", [
        ("    if (used <= capacity && available >= least && available > 0)", "    if (available >= least && available > 0)")]),
    ("one-too-many", "one byte more than there is room for", [
        ("    return (int64_t)(writing ? capacity - used : used);", "    return (int64_t)(writing ? capacity - used + 1 : used);")]),
    ("one-too-few", "one byte less than there is room for", [
        ("    return (int64_t)(writing ? capacity - used : used);",
         "    return (int64_t)(writing && used < capacity ? capacity - used - 1 : used);")]),
    ("piece-beyond", "a piece goes over the end of the ring", [
        ("    if (*size > ring->capacity - offset)\n        *size = ring->capacity - offset;", "")]),
    ("count-other", "a read moves `written`", [
        ("    yk_atomic64 *own = side == YK_BYTES_WRITING ? &ring->shm->written : &ring->shm->read;\n"
         "    ring->at[side] += size;", "    yk_atomic64 *own = &ring->shm->written;\n    ring->at[side] += size;")]),
    ("come-counted-first", "who comes is counted before its bit is set", [
        ("    yk_or_seq(&end->present[slot / 64], UINT64_C(1) << slot % 64);\n    yk_add_seq(&end->came, 1);",
         "    yk_add_seq(&end->came, 1);\n    yk_or_seq(&end->present[slot / 64], UINT64_C(1) << slot % 64);")]),
    ("go-not", "who leaves leaves its bit", [
        ("    yk_and_seq(&end->present[slot / 64], ~bit);\n", "")]),
    ("go-all", "who leaves takes the others' bits along", [
        ("    yk_and_seq(&end->present[slot / 64], ~bit);", "    yk_and_seq(&end->present[slot / 64], 0);")]),
    ("over-looks-first", "whether something is there is looked at before whether they left", [
        ("    return yk_bytes_left(writers, words, mark, ret_came) &&\n"
         "           yk_bytes_guess(ring, YK_BYTES_READING) == 0;",
         "    return yk_bytes_guess(ring, YK_BYTES_READING) == 0 &&\n"
         "           yk_bytes_left(writers, words, mark, ret_came);")]),
    ("over-with-bytes", "the end is told whatever is there", [
        ("    return yk_bytes_left(writers, words, mark, ret_came) &&\n"
         "           yk_bytes_guess(ring, YK_BYTES_READING) == 0;",
         "    (void)ring;\n    return yk_bytes_left(writers, words, mark, ret_came);")]),
    ("left-never-came", "nobody there counts as gone", [
        ("    return came != mark && !yk_bytes_anybody", "    (void)mark;\n    return !yk_bytes_anybody")]),
]

# What a mutant must come through to survive, the quickest first.
CHECKS = [
    ["bytes_schedules", "--share", "0.3"],
    ["bytes_sweep", "--share", "0.5"],
    ["bytes_schedules", "--share", "1"],
    ["bytes_schedules", "--length", "2", "--share", "0.02"],
    ["bytes_schedules", "--processes", "3", "--share", "0.05"],
    ["bytes_sweep", "--mode", "resume", "--share", "0.3"],
]
LONG_CHECKS = [
    ["bytes_schedules", "--length", "2", "--seconds", "600"],
    ["bytes_schedules", "--processes", "3", "--seconds", "600"],
]

WORLD = ["tools", "shuffle", "bytes_model", "coroutine"]
STREAM = mutants.Ring(["ring/bytes.c"], MUTANTS, CHECKS, LONG_CHECKS,
                      {"bytes_schedules": WORLD + ["walk", "bytes_schedules"],
                       "bytes_sweep": WORLD + ["stepper", "bytes_sweep"]})

if __name__ == "__main__":
    sys.exit(mutants.main(STREAM))
