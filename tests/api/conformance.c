/*
 * conformance.c - see conformance.h.
 */
#include "conformance.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define NAME_MOST 120

int conform_all(const void *subjects, size_t subject_count, size_t subject_size,
                const struct expectation *expectations, size_t expectation_count)
{
    size_t count = subject_count * expectation_count;
    struct CMUnitTest *tests = calloc(count, sizeof *tests);
    struct test_case *cases = calloc(count, sizeof *cases);
    char(*names)[NAME_MOST] = calloc(count, NAME_MOST);
    int failed;

    if (!tests || !cases || !names)
        return 1;
    for (size_t i = 0; i < count; i++) {
        const char *subject = (const char *)subjects + i / expectation_count * subject_size;
        const struct expectation *expectation = &expectations[i % expectation_count];

        snprintf(names[i], NAME_MOST, "%s: %s", *(const char *const *)(const void *)subject,
                 expectation->name);
        cases[i] = (struct test_case){expectation->test, (void *)(uintptr_t)subject};
        tests[i] = (struct CMUnitTest){.name = names[i],
                                       .test_func = case_run,
                                       .teardown_func = api_clean,
                                       .initial_state = &cases[i]};
    }
    failed = _cmocka_run_group_tests("tests", tests, count, api_setup, NULL);
    free(tests);
    free(cases);
    free(names);
    return failed;
}

bool is_readable(int fd, int timeout_ms)
{
    struct pollfd poll_for = {.fd = fd, .events = POLLIN};

    return poll(&poll_for, 1, timeout_ms) == 1;
}
