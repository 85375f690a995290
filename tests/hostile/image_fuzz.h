/* image_fuzz.h - the entry points of image_fuzz.c, as libFuzzer knows them, and what replay.c needs. */
#ifndef HOSTILE_IMAGE_FUZZ_H
#define HOSTILE_IMAGE_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What the input attacks, for people; how many kinds there are: the first byte modulo that chooses. */
const char *image_kind(const uint8_t *data, size_t size);
unsigned image_kinds(void);

/* In the process that ran the one which ran them, when that has ended: clears what is left of it. */
void image_clear(void);

#endif
