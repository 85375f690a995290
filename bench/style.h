/*
 * style.h - how the page looks (html.h).
 */
#ifndef YK_BENCH_STYLE_H
#define YK_BENCH_STYLE_H

extern const char bench_style[];

#endif
