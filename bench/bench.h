/*
 * bench.h - the tool's subcommand `bench`: what messages cost here, beside what this machine
 * allows.
 */
#ifndef YK_BENCH_H
#define YK_BENCH_H

/* argv[0] is "bench"; returns an exit status of cli.h. */
int yk_bench_main(int argc, char **argv);

#endif
