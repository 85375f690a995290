/*
 * threads.c - the crew's scenes by threads of one process, which is what ThreadSanitizer can look at.
 *
 * See README.md for what it sees, and what it does not.
 */
#include "crew.h"

int main(int argc, char **argv)
{
    return crew_main(argc, argv, 2);
}
