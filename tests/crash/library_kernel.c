#include "library.h"
const struct scene kernel_scenes[1];
const uint32_t kernel_scene_count = 0;
