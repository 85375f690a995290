/*
 * trouble.h - what does not go on, and why, in a few words: for a row of a screen. `yoke doctor` says
 * the same in sentences, with what cures it.
 */
#ifndef YK_TROUBLE_H
#define YK_TROUBLE_H

#include "listing.h"

/* Fills in `trouble` and `why`, from the look and the rates. */
void yk_trouble_find(struct yk_row *row);

#endif
