/*
 * output.h - what people read: complaints, sizes, ages, tables.
 */
#ifndef YK_OUTPUT_H
#define YK_OUTPUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Prints "yoke: ...\n" on stderr, and "yoke: ..."; no user and password of an address is shown. */
void yk_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

void yk_say(const char *format, va_list arguments);

/* The exit status that goes with a negative errno of the library's. */
int yk_status_of(int error);

/* Complains with yoke_explain(), which belongs to this failed call, and returns the exit status. */
int yk_report(int error);

/* The same for a call on `address`, which is put in front of a sentence that does not name it. */
int yk_report_on(const char *address, int error);

/*
 * Memory has run out: says so and ends the process (which lets go of all it had, like any death).
 */
_Noreturn void yk_out_of_memory(void);

/* malloc() and realloc() that end the process instead of failing. */
void *yk_grow(void *memory, size_t size);

/* Flushes stdout and complains if anything written to it was lost; 0 or a negative errno. */
int yk_flush_output(void);

/*
 * From now on what is written on stdout goes into memory; the end gives it back as a string of
 * *ret_size bytes, which the caller frees. Ends the process when there is no memory.
 */
void yk_capture_begin(void);
char *yk_capture_end(size_t *ret_size);

/* Is stdout a terminal whose cursor can be moved? */
bool yk_can_print_in_place(void);
/* Shows the lines of `text` at its top, as much of them as there is room for, and nothing else. */
void yk_print_in_place(const char *text);

/* "message" for 1, else "messages". */
const char *yk_plural(uint64_t count, const char *one, const char *many);

#define YK_SIZE_TEXT 24
/* "512", "4.0K", "64M": for reading. Both return `text`. */
char *yk_format_size(char text[YK_SIZE_TEXT], uint64_t bytes);
/* "4097", "4K": never rounded. */
char *yk_format_size_exact(char text[YK_SIZE_TEXT], uint64_t bytes);

#define YK_AGE_TEXT 24
/* "250ms", "7s", "5m12s", "3h5m", "2d4h". */
char *yk_format_duration(char text[YK_AGE_TEXT], int64_t ns);

#define YK_TIME_TEXT 24
/* "850ns", "3.1us", "12ms", "4.5s": what was measured. */
char *yk_format_time(char text[YK_TIME_TEXT], int64_t ns);

/* How long ago that was (CLOCK_REALTIME); "-" if it is not known or in the future. */
char *yk_format_age(char text[YK_AGE_TEXT], int64_t since_ns);

#define YK_RATE_TEXT 24
/* "0/s", "3.5/s", "1.2M/s". */
char *yk_format_rate(char text[YK_RATE_TEXT], double per_second);

/* "0B/s", "512B/s", "3.4MB/s". */
char *yk_format_byte_rate(char text[YK_RATE_TEXT], double per_second);

#define YK_OWNER_TEXT 36
/* A user's or group's name, or its number when it has none here. */
char *yk_format_user(char text[YK_OWNER_TEXT], uint32_t uid);
char *yk_format_group(char text[YK_OWNER_TEXT], uint32_t gid);

/* CLOCK_REALTIME and CLOCK_MONOTONIC in nanoseconds. */
int64_t yk_time_real(void);
int64_t yk_time_monotonic(void);

/* ---- tables: columns as wide as they need to be ---------------------------------------------- */

struct yk_column {
    const char *title;
    bool right; /* numbers stand right */
};

struct yk_table {
    const struct yk_column *columns;
    size_t column_count;
    char **cells; /* row by row; owned */
    size_t cell_count, cell_capacity;
};

void yk_table_init(struct yk_table *table, const struct yk_column *columns, size_t column_count);
void yk_table_fini(struct yk_table *table);

/* Adds the next cell; copies what it makes of `format`. Control characters become '?'. */
void yk_table_add(struct yk_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Prints the titles and all rows on stdout. */
void yk_table_print(const struct yk_table *table);

#endif
