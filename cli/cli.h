/*
 * cli.h - what main.c and the commands agree on: exit statuses and one entry point a command.
 *
 * An entry point gets the arguments from its own name on (argv[0] is "send") and returns an exit
 * status. Options are parsed before anything is opened, and a wrong one ends the process there and
 * then (options.h), so a command has nothing to undo for it.
 */
#ifndef YK_CLI_H
#define YK_CLI_H

enum yk_status {
    YK_DONE = 0,
    YK_FAILED = 1,
    YK_USAGE = 2,
    YK_NOTHING = 3,  /* nothing there in the time given: empty, full, timed out */
    YK_DIED = 4,     /* the other side died */
    YK_STOPPED = 128 /* a signal ended it: main() lets that signal end the process, too */
};

int yk_region_main(int argc, char **argv);
int yk_port_main(int argc, char **argv);
int yk_stream_main(int argc, char **argv);
int yk_send_main(int argc, char **argv);
int yk_recv_main(int argc, char **argv);
int yk_bridge_main(int argc, char **argv);
int yk_write_main(int argc, char **argv);
int yk_read_main(int argc, char **argv);
int yk_signal_main(int argc, char **argv);
int yk_peers_main(int argc, char **argv);
int yk_wait_main(int argc, char **argv);
int yk_ls_main(int argc, char **argv);
int yk_stat_main(int argc, char **argv);
int yk_top_main(int argc, char **argv);
int yk_tap_main(int argc, char **argv);
int yk_rm_main(int argc, char **argv);
int yk_gc_main(int argc, char **argv);
int yk_doctor_main(int argc, char **argv);

/* A row of a table of commands, which ends with a row without a name. */
struct yk_command {
    const char *name;
    const char *summary;
    int (*main)(int argc, char **argv);
};

/*
 * Runs the command that argv[1] names. If there is none, says so, and which one may have been
 * meant. `group` is what stands before the name on the command line: "" or "region ".
 */
int yk_command_run(const struct yk_command *commands, const char *group, int argc, char **argv);

/* The same for a group: `usage` is for --help, and for when no command is named at all. */
struct yk_usage;
int yk_command_run_group(const struct yk_command *commands, const struct yk_usage *usage, int argc,
                         char **argv);

#endif
