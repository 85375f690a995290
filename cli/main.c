/*
 * main.c - the tool `yoke`: finds the command and sees to what all of them need: three open
 * standard descriptors, output that really arrived, an end by signal that the caller's shell can
 * see.
 */
#include "cli.h"
#include "output.h"
#include "stop.h"

#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <yoke.h>

static const struct yk_command commands[] = {
    {"region", "create a piece of shared memory: yoke region create", yk_region_main},
    {"port", "create a mailbox: yoke port create", yk_port_main},
    {"stream", "create a byte stream: yoke stream create", yk_stream_main},
    {"send", "send messages: arguments, lines or files", yk_send_main},
    {"recv", "receive messages", yk_recv_main},
    {"bridge", "carry messages from one port to another", yk_bridge_main},
    {"write", "write standard input into a stream", yk_write_main},
    {"read", "read a stream to standard output", yk_read_main},
    {"peers", "list who is there", yk_peers_main},
    {"signal", "signal a peer", yk_signal_main},
    {"wait", "wait for signals, or until a peer comes or goes", yk_wait_main},
    {"ls", "list what there is", yk_ls_main},
    {"stat", "show one object and who uses it", yk_stat_main},
    {"top", "show what goes on, live", yk_top_main},
    {"tap", "show the messages in it, and take none", yk_tap_main},
    {"rm", "remove objects", yk_rm_main},
    {"gc", "clear what the dead left behind", yk_gc_main},
    {"doctor", "say what is wrong, and what cures it", yk_doctor_main},
    {"bench", "measure this machine and yoke on it", yk_bench_main},
    {NULL, NULL, NULL},
};

static void print_help(FILE *out)
{
    fputs("Usage: yoke COMMAND [OPTION...] [ARGUMENT...] | --version\n"
          "Shared memory and message passing between processes.\n",
          out);
    for (const struct yk_command *command = commands; command->name; command++)
        fprintf(out, "  %-8s %s\n", command->name, command->summary);
    fputs("'yoke COMMAND --help' says more. Creating takes a name, all else KIND:NAME.\n"
          "Exit status: 0 done, 1 failed, 2 usage, 3 nothing in time, 4 the other end died\n"
          "Example: yoke port create jobs; ls | yoke send port:jobs; yoke recv port:jobs\n",
          out);
}

/*
 * With a standard descriptor closed, the next file that is opened would get its number, and a
 * message for standard output would be written into a lock file. Opened the wrong way round, so
 * that using them fails as it would have without.
 */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static int run(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return YK_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(stdout);
        return YK_DONE;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("yoke %s\n", yoke_version());
        return YK_DONE;
    }
    if (strcmp(argv[1], "link") == 0) {
        yk_complain("there is no command 'link': whoever sends or receives first makes the link, "
                    "as in 'yoke send --as alice link:bob hello'");
        return YK_USAGE;
    }
    return yk_command_run(commands, "", argc, argv);
}

int main(int argc, char **argv)
{
    int status;

    fill_standard_descriptors();
    status = run(argc, argv);
    if (yk_flush_output() < 0 && status == YK_DONE)
        status = YK_FAILED;
    if (status == YK_STOPPED)
        status = yk_stop_finish();
    return status;
}
