/*
 * host.c - see host.h. Also where the module is entered.
 */
#include "host.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#define SENTENCE_MOST 480

static struct yk_plugin_host host;

YOKE_API const struct yk_place *yoke_place(const struct yk_plugin_host *given);

YOKE_API const struct yk_place *yoke_place(const struct yk_plugin_host *given)
{
    if (strcmp(given->version, YK_VERSION) != 0 || given->layout != YK_PLUGIN_LAYOUT)
        return NULL;
    host = *given;
    return &yk_nats_place;
}

void yk_nats_hide_controls(char *text)
{
    for (unsigned char *c = (unsigned char *)text; *c; c++) {
        if (*c < ' ' || *c == 127)
            *c = '?';
        else if (c[0] == 0xc2 && c[1] >= 0x80 && c[1] < 0xa0) /* those of 8 bits, in UTF-8 */
            c[0] = c[1] = '?';
    }
}

int yk_fail(int error, const char *format, ...)
{
    char sentence[SENTENCE_MOST];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    yk_nats_hide_controls(sentence);
    return host.fail(error, sentence);
}

const char *yk_nats_explain(void)
{
    return host.explain();
}

void yk_nats_hide(char *shown, size_t room, const char *text)
{
    host.hide(shown, room, text);
}

int64_t yk_nats_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * YK_SECOND_NS + now.tv_nsec;
}

int64_t yk_nats_deadline(int64_t timeout_ns)
{
    int64_t now = yk_nats_now();

    return timeout_ns < 0 || timeout_ns > INT64_MAX - now ? INT64_MAX : now + timeout_ns;
}

void yk_nats_make_plain(char *text)
{
    for (; *text; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

void yk_nats_ring(int bell)
{
    uint64_t one = 1;

    if (bell >= 0 && write(bell, &one, sizeof one) < 0)
        return; /* it is rung already */
}

void yk_nats_silence(int bell)
{
    uint64_t count;

    if (bell >= 0 && read(bell, &count, sizeof count) < 0)
        return; /* it was not rung */
}

void yk_nats_random_hex(char *text, size_t bytes)
{
    unsigned char random[32];

    if (bytes > sizeof random || getrandom(random, bytes, 0) != (ssize_t)bytes)
        abort(); /* up to 256 bytes always come, once the system is up */
    for (size_t i = 0; i < bytes; i++)
        sprintf(text + 2 * i, "%02x", random[i]);
}
