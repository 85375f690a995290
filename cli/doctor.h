/*
 * doctor.h - what yoke doctor finds, and who looks for it.
 *
 * Nothing here changes anything. A finding is one sentence that says what is so and what it means, and
 * the command that cures it, if there is one.
 */
#ifndef YK_DOCTOR_H
#define YK_DOCTOR_H

#include "inspect.h"

#include <stddef.h>

struct yk_finding {
    enum yk_severity severity;
    char subject[900]; /* "port:jobs", "kernel.shmmni" */
    char text[700];
    char cure[1900]; /* "": nothing cures it, or nothing has to */
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
/* A place across machines. 0; or a negative errno where the text is no such place. */
int yk_doctor_place(struct yk_findings *findings, const char *place);

#endif
