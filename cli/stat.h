/*
 * stat.h - what yoke stat prints of one object, for yoke top to show, too.
 */
#ifndef YK_STAT_H
#define YK_STAT_H

#include "look.h"

/* On stdout. */
void yk_stat_print(const struct yk_look *look, const struct yk_rates *rates);

#endif
