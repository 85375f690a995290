/*
 * hide.h - texts in which somebody may have written a user and a password: nats://USER:PASSWORD@HOST.
 */
#ifndef YK_BASE_HIDE_H
#define YK_BASE_HIDE_H

#include <stddef.h>

/*
 * Copies as much of the text as there is room for, its end included, without what stands before an
 * '@' among the servers of any SCHEME://SERVER,SERVER… in it. Every sentence goes through this.
 */
void yk_hide_logins(char *shown, size_t room, const char *text);

#endif
