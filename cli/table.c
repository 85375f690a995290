/*
 * table.c - tables: columns as wide as they need to be.
 */
#include "output.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GAP 2

void yk_table_init(struct yk_table *table, const struct yk_column *columns, size_t column_count)
{
    *table = (struct yk_table){.columns = columns, .column_count = column_count};
}

void yk_table_fini(struct yk_table *table)
{
    for (size_t i = 0; i < table->cell_count; i++)
        free(table->cells[i]);
    free(table->cells);
}

/* What other processes wrote goes to a terminal here; it must not steer it. */
static void defuse(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < ' ' || *text == 0x7f)
            *text = '?';
}

void yk_table_add(struct yk_table *table, const char *format, ...)
{
    va_list arguments;
    char *text;
    int length;

    va_start(arguments, format);
    length = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (length < 0)
        yk_out_of_memory();
    defuse(text);

    if (table->cell_count == table->cell_capacity) {
        table->cell_capacity = table->cell_capacity ? 2 * table->cell_capacity : 64;
        table->cells = yk_grow(table->cells, table->cell_capacity * sizeof *table->cells);
    }
    table->cells[table->cell_count++] = text;
}

static int column_width(const struct yk_table *table, size_t column)
{
    size_t width = strlen(table->columns[column].title);

    for (size_t i = column; i < table->cell_count; i += table->column_count)
        if (strlen(table->cells[i]) > width)
            width = strlen(table->cells[i]);
    return (int)width;
}

static void print_cell(const struct yk_table *table, size_t column, int width, const char *text)
{
    bool last = column + 1 == table->column_count;

    if (table->columns[column].right)
        printf("%*s", width, text);
    else if (last)
        fputs(text, stdout); /* no spaces at the end of a line */
    else
        printf("%-*s", width, text);
    if (last)
        putchar('\n');
    else
        printf("%*s", GAP, "");
}

void yk_table_print(const struct yk_table *table)
{
    int *widths = yk_grow(NULL, table->column_count * sizeof *widths);

    for (size_t c = 0; c < table->column_count; c++)
        widths[c] = column_width(table, c);
    for (size_t c = 0; c < table->column_count; c++)
        print_cell(table, c, widths[c], table->columns[c].title);
    for (size_t i = 0; i < table->cell_count; i++) {
        size_t c = i % table->column_count;
        print_cell(table, c, widths[c], table->cells[i]);
    }
    free(widths);
}
