#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

int main(void)
{
    yoke_endpoint *port;
    char text[100];

    if (yoke_open(&port, "port:hello", YOKE_CREATE, NULL) < 0)
        return fprintf(stderr, "%s\n", yoke_explain()), 1;
    if (fork() == 0) /* the child sends */
        return yoke_send(port, "hello, world", 13, YOKE_FOREVER) < 0;
    if (yoke_recv(port, text, sizeof text, YOKE_FOREVER) > 0) /* the parent waits for it */
        puts(text);
    wait(NULL);
    return yoke_close(port); /* the last one out: port and memory are gone */
}
