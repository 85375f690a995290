/*
 * html.h - the results as one page that needs nothing else: no script, no font, no picture from
 * elsewhere.
 */
#ifndef YK_BENCH_HTML_H
#define YK_BENCH_HTML_H

#include "results.h"

/* Whether the page can be written to `path`, whose content stays. Returns as the next one. */
int bench_html_try(const char *path);

/* Writes the page to `path`. 0, or a negative errno that was said on stderr. */
int bench_html_write(const char *path, const struct bench_results *results);

#endif
