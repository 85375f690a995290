/*
 * box.h - a place of its own for processes that are going to be killed: whatever they leave behind
 * vanishes with it.
 */
#ifndef YK_BENCH_BOX_H
#define YK_BENCH_BOX_H

#include <stdbool.h>

/*
 * Runs work(argument) in a process of its own, which may enter a box, until that ends. 0; -EINTR:
 * yk_stop_signal() says which, and it was killed; else a negative errno.
 */
int bench_box_run(void (*work)(void *argument), void *argument);

/*
 * In that process: IPC and mount namespaces of its own, with an empty /dev/shm and /tmp, and names
 * in there. False: not to be had here, and nothing would clear away what is left.
 */
bool bench_box_enter(void);

#endif
