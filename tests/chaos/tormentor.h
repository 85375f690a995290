/*
 * tormentor.h - starts the processes of a round, kills, stops and resumes them by a plan that follows from the
 * seed, buries them, and watches that none of the living is stuck.
 */
#ifndef CHAOS_TORMENTOR_H
#define CHAOS_TORMENTOR_H

#include "shared.h"

struct torment {
    uint64_t seed;
    uint32_t actions;
    int64_t gap_ns;   /* between two, about */
    uint32_t at_once; /* up to so many are killed at one time */
    uint32_t hushes;  /* once in so many actions all is let arrive; 0: never */
    bool abrupt;      /* in the end all are killed, whatever they do */
    bool gather;      /* wait until all are attached before the first */
};

struct deeds {
    uint64_t kills, stops, starts, forks, left, hushes, attached_most;
};

/* A living process that is not stopped and gets on with nothing for so long, while it could, is stuck. */
#define WEDGE_NS (20 * 1000 * MS)

/* From the first start to the last burial. */
void torment(const struct torment *plan, struct deeds *deeds);

#endif
