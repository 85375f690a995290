/* none.c - in the place of a program whose library is not installed. */
#include <stdio.h>

int main(void)
{
    puts("1..0 # SKIP " NEEDED_LIBRARY " is not installed");
    return 77;
}
