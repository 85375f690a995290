/*
 * json-none.c - takes json.c's place in a build without jansson: --json is refused as soon as it is
 * seen, so that none of the others is ever called.
 */
#include "json.h"

#include <stdlib.h>

void yk_json_require(const struct yk_usage *usage)
{
    yk_usage_error(usage, "--json is not to be had: this yoke was built without jansson");
}

yk_json *yk_json_object(void)
{
    abort();
}

yk_json *yk_json_array(void)
{
    abort();
}

void yk_json_string(yk_json *object, const char *key, const char *text)
{
    (void)object, (void)key, (void)text;
    abort();
}

void yk_json_bool(yk_json *object, const char *key, bool value)
{
    (void)object, (void)key, (void)value;
    abort();
}

void yk_json_real(yk_json *object, const char *key, double value)
{
    (void)object, (void)key, (void)value;
    abort();
}

void yk_json_signed(yk_json *object, const char *key, int64_t value)
{
    (void)object, (void)key, (void)value;
    abort();
}

void yk_json_unsigned(yk_json *object, const char *key, uint64_t value)
{
    (void)object, (void)key, (void)value;
    abort();
}

void yk_json_bytes(yk_json *object, const char *key, const void *data, size_t size)
{
    (void)object, (void)key, (void)data, (void)size;
    abort();
}

void yk_json_add(yk_json *object, const char *key, yk_json *value)
{
    (void)object, (void)key, (void)value;
    abort();
}

void yk_json_append(yk_json *array, yk_json *value)
{
    (void)array, (void)value;
    abort();
}

void yk_json_print(yk_json *value)
{
    (void)value;
    abort();
}

char *yk_json_line(yk_json *value, size_t *ret_size)
{
    (void)value, (void)ret_size;
    abort();
}

void yk_json_print_line(yk_json *value)
{
    (void)value;
    abort();
}
