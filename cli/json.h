/*
 * json.h - building and printing JSON. json.c does it with jansson; json-none.c takes its place in
 * a build without jansson and refuses.
 *
 * A value that was added to another belongs to that one; the others end in yk_json_print() or
 * yk_json_line(). Running out of memory ends the process, so nothing here fails.
 */
#ifndef YK_JSON_H
#define YK_JSON_H

#include "options.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct json_t yk_json; /* jansson's own tag, so that only json.c needs its header */

/*
 * To be called where --json is parsed: ends the process with YK_USAGE in a build without jansson.
 */
void yk_json_require(const struct yk_usage *usage);

yk_json *yk_json_object(void);
yk_json *yk_json_array(void);

/* `text` is ASCII or UTF-8; bytes that are neither become '?'. */
void yk_json_string(yk_json *object, const char *key, const char *text);
void yk_json_bool(yk_json *object, const char *key, bool value);
void yk_json_real(yk_json *object, const char *key, double value);
void yk_json_signed(yk_json *object, const char *key, int64_t value);
/* From 2^63 on a string of digits: JSON readers, and jansson, stop there. */
void yk_json_unsigned(yk_json *object, const char *key, uint64_t value);
/* Any bytes: as a string under `key` if they are UTF-8, else in base64 under `key_base64`. */
void yk_json_bytes(yk_json *object, const char *key, const void *data, size_t size);

void yk_json_add(yk_json *object, const char *key, yk_json *value);
void yk_json_append(yk_json *array, yk_json *value);

/* On stdout, indented, with a newline. Frees it. */
void yk_json_print(yk_json *value);

/*
 * In one line, with its newline, as a string of *ret_size bytes that the caller frees. Frees the
 * value.
 */
char *yk_json_line(yk_json *value, size_t *ret_size);

/* On stdout in one line. Frees it. */
void yk_json_print_line(yk_json *value);

#endif
