/* library_table.h - which function of yoke.h is covered by which scene. */
#ifndef CRASH_LIBRARY_TABLE_H
#define CRASH_LIBRARY_TABLE_H

#include "library.h"

/* In library.c: all scenes, of all families. */
uint32_t library_scene_count(void);
const struct scene *library_scene(uint32_t number);

/* As Markdown. */
void library_print_table(void);

/* A test: every function that the library exports is in a scene, or touches no shared state. */
void no_function_is_overlooked(void **state);

#endif
