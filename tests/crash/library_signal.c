#include "library.h"
const struct scene signal_scenes[1];
const uint32_t signal_scene_count = 0;
