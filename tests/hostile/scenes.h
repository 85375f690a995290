/* scenes.h - one public call each, with all that must be there before it. */
#ifndef HOSTILE_SCENES_H
#define HOSTILE_SCENES_H

#include "yoke.h"

struct world {
    yoke_endpoint *ends[3];
    yoke_region *region;
    yoke_peer *peers[2];
    int fds[2]; /* of a pair or an unnamed stream, or -1 */
    int other;  /* a descriptor to move bytes from or to, or -1 */
    const void *lent;
    void *loan;
    unsigned char bytes[4096];
};

struct scene {
    const char *name; /* "port: recv" */
    void (*prepare)(struct world *world);
    int64_t (*call)(struct world *world);
};

extern const struct scene scenes[];
extern const unsigned scene_count;

void scene_begin(const struct scene *scene, struct world *world);
/* Closes everything, which must succeed. */
void scene_end(struct world *world);
/* False: yoke.h gives that result to no call. */
bool scene_is_known(int64_t result);

#endif
