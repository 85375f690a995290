/*
 * conformance.h - the same expectations of everything of one sort, whatever its kind and place. A subject
 * is one line of a table, a struct that begins with its name; an expectation is a test whose *state is
 * the subject.
 */
#ifndef CONFORMANCE_H
#define CONFORMANCE_H

#include "api.h"

struct expectation {
    const char *name;
    void (*test)(void **state);
};

#define EXPECTATION(function) \
    {                         \
#function, function   \
    }

/* Runs each expectation on each subject, and returns what main() does. */
#define conform(subjects, expectations)                                                \
    conform_all((subjects), sizeof(subjects) / sizeof *(subjects), sizeof *(subjects), \
                (expectations), sizeof(expectations) / sizeof *(expectations))
int conform_all(const void *subjects, size_t subject_count, size_t subject_size,
                const struct expectation *expectations, size_t expectation_count);

/* Can it be read, in poll()'s sense, within that time? */
bool is_readable(int fd, int timeout_ms);

#endif
