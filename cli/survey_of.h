/*
 * survey_of.h - what `yoke stat` says of several objects together: as OpenMetrics, or who talks to whom.
 */
#ifndef YK_SURVEY_OF_H
#define YK_SURVEY_OF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct yk_survey {
    const char *place; /* NULL: this machine */
    char **addresses;  /* of which; none: all that there are */
    size_t count;
    bool openmetrics, talks; /* one of them */
    bool dot, json;          /* talks: else text */
    bool latency;            /* openmetrics of one object */
    int64_t interval;        /* 0: one look */
    bool watch;              /* again and again */
    const char *output;      /* a file that is replaced with each look; NULL: standard output */
};

/* The exit status. */
int yk_survey_of(const struct yk_survey *survey);

#endif
