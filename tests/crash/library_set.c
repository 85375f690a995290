#include "library.h"
const struct scene set_scenes[1];
const uint32_t set_scene_count = 0;
