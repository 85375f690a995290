/*
 * replace.h - standard output into a file that is replaced as a whole: who reads it sees the old one or
 * the new one, never half of one; and what fails leaves the old one as it was. A symbolic link is
 * replaced itself, not what it leads to, and what is no file (a device, a FIFO) is refused.
 */
#ifndef YK_REPLACE_H
#define YK_REPLACE_H

struct yk_replace {
    const char *path;
    char *temporary; /* owned; in the same directory, with another ending */
    int saved;       /* the standard output that it was */
};

/* What is printed from now on goes there. 0, or -1 with the complaint made. */
int yk_replace_begin(struct yk_replace *replace, const char *path);

/* Standard output is again what it was, and if all of it was written, the file is replaced. The same. */
int yk_replace_end(struct yk_replace *replace);

#endif
