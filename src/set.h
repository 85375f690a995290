/*
 * set.h - what else has to know of wait sets (set.c): whoever closes what is in one.
 */
#ifndef YK_SET_H
#define YK_SET_H

struct yk_member;

/* What it stands for is about to be closed: out of its set. NULL is fine. */
void yk_set_drop(struct yk_member *member);

#endif
