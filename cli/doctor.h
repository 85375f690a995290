/*
 * doctor.h - what yoke doctor finds, and who looks for it.
 *
 * Nothing here changes anything. A finding is one sentence that says what is so and what it means, and
 * the command that cures it, if there is one.
 */
#ifndef YK_DOCTOR_H
#define YK_DOCTOR_H

#include <stddef.h>

enum yk_severity {
    YK_FINE,    /* looked at, and as it should be */
    YK_NOTE,    /* works, less well or with something else in its place */
    YK_WARNING, /* will go wrong for somebody */
    YK_FAULT,   /* is wrong now */
};

struct yk_finding {
    enum yk_severity severity;
    char subject[300]; /* "port:jobs", "kernel.shmmni" */
    char text[500];
    char cure[400]; /* "": nothing cures it, or nothing has to */
};

struct yk_findings {
    struct yk_finding *all; /* owned */
    size_t count;
};

/* Adds one; the sentence is what printf() would make of `format`. `cure` may be NULL. */
void yk_find(struct yk_findings *findings, enum yk_severity severity, const char *subject,
             const char *cure, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* The kernel, its limits, the name directory, and what else on this machine concerns yoke. */
void yk_doctor_machine(struct yk_findings *findings);
/* Every object, who takes part in it, and what the dead left. */
void yk_doctor_objects(struct yk_findings *findings);

#endif
