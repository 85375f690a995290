/*
 * json.c - building and printing JSON with jansson. json-none.c is its twin without.
 */
#include "json.h"

#include "output.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void yk_json_require(const struct yk_usage *usage)
{
    (void)usage;
}

static json_t *need(json_t *value)
{
    if (!value)
        yk_out_of_memory();
    return value;
}

yk_json *yk_json_object(void)
{
    return need(json_object());
}

yk_json *yk_json_array(void)
{
    return need(json_array());
}

void yk_json_add(yk_json *object, const char *key, yk_json *value)
{
    if (json_object_set_new(object, key, value) < 0)
        yk_out_of_memory();
}

void yk_json_append(yk_json *array, yk_json *value)
{
    if (json_array_append_new(array, value) < 0)
        yk_out_of_memory();
}

static char *without_high_bytes(const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        yk_out_of_memory();
    for (char *c = copy; *c; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    return copy;
}

void yk_json_string(yk_json *object, const char *key, const char *text)
{
    json_t *string = json_string(text); /* NULL for what is not UTF-8 */

    if (!string) {
        char *plain = without_high_bytes(text);
        string = need(json_string(plain));
        free(plain);
    }
    yk_json_add(object, key, string);
}

void yk_json_bool(yk_json *object, const char *key, bool value)
{
    yk_json_add(object, key, json_boolean(value));
}

void yk_json_real(yk_json *object, const char *key, double value)
{
    yk_json_add(object, key, need(json_real(value)));
}

void yk_json_signed(yk_json *object, const char *key, int64_t value)
{
    yk_json_add(object, key, need(json_integer(value)));
}

void yk_json_unsigned(yk_json *object, const char *key, uint64_t value)
{
    char digits[24];

    if (value <= INT64_MAX) {
        yk_json_signed(object, key, (int64_t)value);
        return;
    }
    snprintf(digits, sizeof digits, "%" PRIu64, value);
    yk_json_string(object, key, digits);
}

static char *encode_base64(const unsigned char *data, size_t size)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *text = yk_grow(NULL, (size + 2) / 3 * 4 + 1), *out = text;

    for (size_t i = 0; i < size; i += 3) {
        size_t left = size - i;
        uint32_t three = (uint32_t)data[i] << 16;
        if (left > 1)
            three |= (uint32_t)data[i + 1] << 8;
        if (left > 2)
            three |= data[i + 2];
        *out++ = digits[three >> 18];
        *out++ = digits[three >> 12 & 63];
        *out++ = left > 1 ? digits[three >> 6 & 63] : '=';
        *out++ = left > 2 ? digits[three & 63] : '=';
    }
    *out = '\0';
    return text;
}

void yk_json_bytes(yk_json *object, const char *key, const void *data, size_t size)
{
    json_t *string = json_stringn(size ? data : "", size); /* NULL for what is not UTF-8 */
    char name[64];
    char *text;

    if (string) {
        yk_json_add(object, key, string);
        return;
    }
    snprintf(name, sizeof name, "%s_base64", key);
    text = encode_base64(data, size);
    yk_json_add(object, name, need(json_string(text)));
    free(text);
}

static char *dump(yk_json *value, size_t flags, size_t *ret_size)
{
    char *text = json_dumps(value, flags);

    json_decref(value);
    if (!text)
        yk_out_of_memory();
    *ret_size = strlen(text);
    return text;
}

void yk_json_print(yk_json *value)
{
    size_t size;
    char *text = dump(value, JSON_INDENT(2) | JSON_REAL_PRECISION(15), &size);

    puts(text);
    free(text);
}

char *yk_json_line(yk_json *value, size_t *ret_size)
{
    size_t size;
    char *text = dump(value, JSON_COMPACT | JSON_REAL_PRECISION(15), &size);

    text = yk_grow(text, size + 2);
    memcpy(text + size, "\n", 2);
    *ret_size = size + 1;
    return text;
}

void yk_json_print_line(yk_json *value)
{
    size_t size;
    char *text = yk_json_line(value, &size);

    fwrite(text, 1, size, stdout);
    free(text);
}
