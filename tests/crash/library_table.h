/* library_table.h - which function of yoke.h is covered by which scene. */
#ifndef CRASH_LIBRARY_TABLE_H
#define CRASH_LIBRARY_TABLE_H

#include "library.h"

/* All scenes, of all families. */
uint32_t library_scene_count(void);
const struct scene *library_scene(uint32_t number);

/* What the library exports. False: it is not known where the sources are. */
bool library_functions(void);
uint32_t library_function_count(void);
const char *library_function(uint32_t number);
/* Why it touches no shared state; NULL: it does. */
const char *library_why_alone(const char *function);
/* A file of the sources, for the caller to free; NULL: it is not there. */
char *source_text(const char *path);

/* As Markdown. */
void library_print_table(void);

/* A test: every function that the library exports is in a scene, or touches no shared state. */
void no_function_is_overlooked(void **state);

#endif
