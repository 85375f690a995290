/*
 * pipe.c - a pipe: one program writes bytes, another one reads them, and neither knows how they were
 * cut.
 *
 * Writing waits while the stream is full, reading while it is empty. When the last writer has closed,
 * or died, and everything was read, reading says 0; what the one who died had written is there.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <yoke.h>

static int write_lines(int count, bool die)
{
    yoke_endpoint *out;
    char line[20];

    if (yoke_open(&out, "stream:pipe", YOKE_WRITE, NULL) < 0)
        return EXIT_FAILURE;
    for (int i = 1; i <= count; i++) {
        int size = sprintf(line, "line %d\n", i);
        yoke_write(out, line, (size_t)size, YOKE_FOREVER);
    }
    if (die)
        raise(SIGKILL);
    return yoke_close(out);
}

static int count_lines(yoke_endpoint *in)
{
    char bytes[100];
    ssize_t size;
    int lines = 0;

    while ((size = yoke_read(in, bytes, sizeof bytes, YOKE_FOREVER)) > 0) {
        for (ssize_t i = 0; i < size; i++)
            lines += bytes[i] == '\n';
    }
    return lines;
}

static int read_from_a_writer(int count, bool die)
{
    yoke_endpoint *in;

    if (yoke_open(&in, "stream:pipe", YOKE_CREATE | YOKE_READ, NULL) < 0)
        return fprintf(stderr, "%s\n", yoke_explain());
    if (fork() == 0)
        exit(write_lines(count, die));
    int lines = count_lines(in);
    printf("%d lines, then the end: the writer %s\n", lines,
           yoke_stream_end(in) == -EOWNERDEAD ? "died" : "closed");
    fflush(stdout);
    wait(NULL);
    return yoke_close(in);
}

int main(void)
{
    if (read_from_a_writer(1000, false) != 0 || read_from_a_writer(3, true) != 0)
        return EXIT_FAILURE;
    return 0;
}
