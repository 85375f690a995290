/*
 * library_table.c - which function of yoke.h is killed, and stopped, at every instruction, in which
 * scenes: the table of README.md here, and the test that no function is overlooked.
 *
 * What a scene covers follows from its call (verb_functions). The scenes of links.c and lifecycle.c,
 * which are other programs, stand in `elsewhere`; that they are there is looked up in the source.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "library_table.h"

#define NAMES_MOST 200

static const struct {
    const char *function, *program, *scenes[6];
} elsewhere[] = {
    {"yoke_region_create",
     "lifecycle",
     {"create transient", "create kept", "create over a dead name"}},
    {"yoke_region_open", "lifecycle", {"open", "open read-only", "open a dead name"}},
    {"yoke_region_close", "lifecycle", {"close as last user", "close not as last user"}},
    {"yoke_region_remove", "lifecycle", {"remove", "remove what is in use", "remove a dead name"}},
    {"yoke_remove", "lifecycle", {"remove", "remove what is in use", "remove a dead name"}},
    {"yoke_open", "lifecycle", {"create transient", "open", "open a dead name"}},
    {"yoke_open", "links", {"open first", "open second", "come back to what a dead one held"}},
    {"yoke_close", "lifecycle", {"close as last user", "close not as last user"}},
    {"yoke_close", "links", {"close alone", "close", "close an end"}},
    {"yoke_peer_join", "links", {"join"}},
    {"yoke_peer_leave", "links", {"leave"}},
    {"yoke_pair", "links", {"pair"}},
    {"yoke_open_descriptor", "links", {"open an end"}},
    {"yoke_send_many", "links", {"send to a sleeper", "send, waiting for room"}},
    {"yoke_recv_many", "links", {"receive from a sleeper", "receive, waiting"}},
    {"yoke_borrow_many", "links", {"borrow"}},
    {"yoke_loan", "links", {"loan"}},
    {"yoke_commit", "links", {"commit to a sleeper"}},
    {"yoke_release", "links", {"release while one waits for room"}},
    {"yoke_return", "links", {"return"}},
};
#define ELSEWHERE (sizeof elsewhere / sizeof elsewhere[0])

/* What touches no shared state, and why. */
static const struct {
    const char *function, *why;
} alone[] = {
    {"yoke_explain", "reads a sentence of the calling thread's"},
    {"yoke_strerror", "a constant"},
    {"yoke_version", "a constant"},
    {"yoke_region_data", "a pointer that the handle has"},
    {"yoke_region_size", "a number that the handle copied when it was opened"},
    {"yoke_max_message", "a number that the handle copied when it was opened"},
    {"yoke_stream_capacity", "a number that the handle copied when it was opened"},
    {"yoke_link_other", "a name that the handle copied when it was opened"},
    {"yoke_set_create", "an epoll descriptor and a pipe of the process's own"},
    {"yoke_set_add_timer", "a timer of the process's own"},
    {"yoke_set_add_descriptor", "a descriptor of the process's own"},
};
#define ALONE (sizeof alone / sizeof alone[0])

static const struct {
    const struct scene *scenes;
    const uint32_t *count;
} families[] = {
    {region_scenes, &region_scene_count}, {port_scenes, &port_scene_count},
    {stream_scenes, &stream_scene_count}, {signal_scenes, &signal_scene_count},
    {peer_scenes, &peer_scene_count},     {set_scenes, &set_scene_count},
    {kernel_scenes, &kernel_scene_count},
};
#define FAMILIES (sizeof families / sizeof families[0])

uint32_t library_scene_count(void)
{
    uint32_t count = 0;
    for (size_t i = 0; i < FAMILIES; i++)
        count += *families[i].count;
    return count;
}

const struct scene *library_scene(uint32_t number)
{
    size_t family = 0;
    for (; number >= *families[family].count; family++)
        number -= *families[family].count;
    return &families[family].scenes[number];
}

static char functions[NAMES_MOST][48];
static uint32_t function_count;

/* ---- what there is ---- */

static FILE *source(const char *path)
{
    char name[600];
    const char *sources = getenv("YOKE_SOURCE_DIR");
    if (!sources)
        return NULL;
    snprintf(name, sizeof name, "%s/%s", sources, path);
    return fopen(name, "re");
}

bool library_functions(void)
{
    char word[200];
    FILE *map = source("src/yoke.map");
    function_count = 0;
    while (map && fscanf(map, " %199s", word) == 1 && function_count < NAMES_MOST) {
        if (strncmp(word, "yoke_", 5) == 0)
            snprintf(functions[function_count++], sizeof functions[0], "%.*s",
                     (int)strcspn(word, ";"), word);
    }
    if (map)
        fclose(map);
    return function_count > 0;
}

uint32_t library_function_count(void)
{
    return function_count;
}

const char *library_function(uint32_t number)
{
    return functions[number];
}

char *source_text(const char *path)
{
    FILE *file = source(path);
    char *text = NULL;
    size_t size = 0;
    if (file && getdelim(&text, &size, '\0', file) < 0)
        text[0] = '\0';
    if (file)
        fclose(file);
    return text;
}

static bool covers(const struct scene *scene, const char *function)
{
    const char *called = verb_functions[scene->call.verb];
    const char *family = scene->world ? scene->world->family : "";
    if (scene->call.verb == DO_CLOSE && strcmp(function, "yoke_peer_leave") == 0)
        return strcmp(family, "peer") == 0 && scene->call.handle == 0;
    return called && strcmp(called, function) == 0;
}

/* ---- the table ---- */

const char *library_why_alone(const char *function)
{
    for (size_t i = 0; i < ALONE; i++) {
        if (strcmp(alone[i].function, function) == 0)
            return alone[i].why;
    }
    return NULL;
}

static void append(char *text, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void append(char *text, size_t size, const char *format, ...)
{
    size_t used = strlen(text);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + used, size - used, format, arguments);
    va_end(arguments);
}

/* How many scenes; `ret` is its row. */
static uint32_t describe(const char *function, char *ret, size_t size)
{
    uint32_t scenes = 0, pairs = 0;
    char names[3000] = "";
    for (uint32_t i = 0; i < library_scene_count(); i++) {
        const struct scene *scene = library_scene(i);
        if (!covers(scene, function))
            continue;
        append(names, sizeof names, "%s%s", scenes ? "; " : "", scene->name);
        scenes++;
        pairs += !scene->alone && !scene->forked;
    }
    for (size_t i = 0; i < ELSEWHERE; i++) {
        if (strcmp(elsewhere[i].function, function) != 0)
            continue;
        append(names, sizeof names, "%s%s: ", scenes ? "; " : "", elsewhere[i].program);
        for (uint32_t k = 0; k < 6 && elsewhere[i].scenes[k]; k++, scenes++)
            append(names, sizeof names, "%s%s", k ? ", " : "", elsewhere[i].scenes[k]);
    }
    snprintf(ret, size, "| `%s` | %s | %s | %s | %s |\n", function, scenes ? "yes" : "no",
             scenes ? "yes" : "no", pairs ? "yes" : "-", names);
    return scenes;
}

void library_print_table(void)
{
    static char row[3500];
    if (!library_functions())
        return;
    printf("| function | killed | stopped | pair | scenes |\n| --- | --- | --- | --- | --- |\n");
    for (uint32_t i = 0; i < function_count; i++) {
        if (!library_why_alone(functions[i]) && describe(functions[i], row, sizeof row) > 0)
            fputs(row, stdout);
    }
    printf("\n| function | touches no shared state: |\n| --- | --- |\n");
    for (size_t i = 0; i < ALONE; i++)
        printf("| `%s` | %s |\n", alone[i].function, alone[i].why);
}

/* ---- the test ---- */

static uint32_t check_elsewhere(void)
{
    uint32_t missing = 0;
    for (size_t i = 0; i < ELSEWHERE; i++) {
        char path[100];
        snprintf(path, sizeof path, "tests/crash/%s.c", elsewhere[i].program);
        char *text = source_text(path);
        for (uint32_t k = 0; k < 6 && elsewhere[i].scenes[k]; k++) {
            char name[200];
            snprintf(name, sizeof name, "\"%s\"", elsewhere[i].scenes[k]);
            if (text && strstr(text, name))
                continue;
            print_error("%s has no scene %s any more\n", path, name);
            missing++;
        }
        free(text);
    }
    return missing;
}

void no_function_is_overlooked(void **state)
{
    static char row[3500];
    uint32_t overlooked = 0;
    (void)state;
    if (!library_functions())
        skip_test("YOKE_SOURCE_DIR does not say where yoke.map is");
    char *readme = source_text("tests/crash/README.md");
    for (uint32_t i = 0; i < function_count; i++) {
        const char *why = library_why_alone(functions[i]);
        uint32_t scenes = describe(functions[i], row, sizeof row);
        if (!why && scenes == 0)
            print_error("nobody is killed in %s: it needs a scene (tests/crash/library_*.c), or a "
                        "reason why it touches no shared state (library_table.c)\n",
                        functions[i]);
        if (!why && scenes > 0 && (!readme || !strstr(readme, row)))
            print_error("tests/crash/README.md has not this row (library --table prints all):\n%s",
                        row);
        overlooked += !why && (scenes == 0 || !readme || !strstr(readme, row));
    }
    free(readme);
    assert_int_equal(overlooked + check_elsewhere(), 0);
}
