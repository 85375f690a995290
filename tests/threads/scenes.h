/* scenes.h - what the scenes have in common. */
#ifndef THREADS_SCENES_H
#define THREADS_SCENES_H

#include "crew.h"

extern const struct scene port_scene, link_scene, signal_scene;     /* scenes_messages.c */
extern const struct scene region_scene, stream_scene, cancel_scene; /* scenes_memory.c */
extern const struct scene link_ring_scene, byte_ring_scene;         /* scenes_rings.c */

struct yoke_options scene_options(const struct round *round);
/* An endpoint; NULL: a failure, which is told. */
void *scene_open(const char *address, uint32_t flags, const struct yoke_options *options);
void scene_close(void *handle, uint32_t number);
void scene_dispose(struct round *round); /* closes the anchor */

#endif
