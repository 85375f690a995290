#include "library.h"
const struct scene peer_scenes[1];
const uint32_t peer_scene_count = 0;
