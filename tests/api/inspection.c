/* inspection.c - see inspection.h. */
#include "inspection.h"

#include <dirent.h>

char directory[300];

const char *path_of(const char *entry)
{
    static char path[600];
    snprintf(path, sizeof path, "%s/%s", directory, entry);
    return path;
}

bool is_there(const char *entry)
{
    struct stat facts;
    return lstat(path_of(entry), &facts) == 0;
}

void write_file(const char *entry, const char *text)
{
    int fd = open(path_of(entry), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

void read_file(const char *entry, char text[512])
{
    int fd = open(path_of(entry), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t size = read(fd, text, 511);
    assert_true(size > 0);
    text[size] = '\0';
    close(fd);
}

void change_number(char text[512], const char *words)
{
    char *digit = strstr(text, words);
    assert_non_null(digit);
    digit += strlen(words);
    *digit = *digit == '1' ? '2' : '1';
}

void move(const char *from, const char *to)
{
    char old[600];
    snprintf(old, sizeof old, "%s", path_of(from));
    assert_int_equal(rename(old, path_of(to)), 0);
}

yoke_endpoint *open_port(const char *address, uint32_t flags)
{
    struct yoke_options options = YOKE_OPTIONS_INIT;
    yoke_endpoint *endpoint;
    options.depth = 16;
    options.max_message = 100;
    options.priorities = 2;
    options.participants = 5;
    options.max_deliveries = 7;
    options.max_parked = 3;
    options.mode = 0640;
    int result = yoke_open(&endpoint, address, flags, &options);
    if (result < 0)
        fail_msg("%s: %s", address, yoke_explain());
    return endpoint;
}

void make_kept_port(const char *address)
{
    yoke_close(open_port(address, YOKE_CREATE | YOKE_EXCLUSIVE | YOKE_KEPT));
}

void send_text(yoke_endpoint *endpoint, const char *text, uint32_t priority)
{
    struct yoke_message message = {
        .data = (void *)(uintptr_t)text, .size = strlen(text), .priority = priority};
    assert_int_equal(yoke_send_many(endpoint, &message, 1, YOKE_NOW), 1);
}

struct yk_object_facts facts_of(const char *address)
{
    struct yk_object_facts facts;
    int result = yk_inspect(address, &facts, NULL, NULL);
    if (result < 0)
        fail_msg("%s: %s", address, yoke_explain());
    return facts;
}

bool segment_is_there(int id)
{
    struct shmid_ds facts;
    return shmctl(id, IPC_STAT, &facts) == 0;
}

size_t collect(bool dry_run, char *lines, size_t room)
{
    struct yk_gc_item *items;
    ssize_t count = yk_gc(dry_run, &items);
    if (count < 0)
        fail_msg("yk_gc: %s", yoke_explain());
    lines[0] = '\0';
    for (ssize_t i = 0; i < count; i++) {
        size_t length = strlen(lines);
        assert_true(items[i].reason[0] != '\0');
        snprintf(lines + length, room - length, "%s %s\n", items[i].what, items[i].name);
    }
    free(items);
    return (size_t)count;
}

void expect_nothing_to_clear(void)
{
    char lines[2000];
    if (collect(true, lines, sizeof lines) + collect(false, lines, sizeof lines) != 0)
        fail_msg("found: %s", lines);
}

void expect_cleared(const char *expected)
{
    char first[2000], second[2000], cleared[2000];
    collect(true, first, sizeof first);
    collect(true, second, sizeof second);
    assert_string_equal(first, expected);
    assert_string_equal(second, expected);
    collect(false, cleared, sizeof cleared);
    assert_string_equal(cleared, expected);
    expect_nothing_to_clear();
}

/* Takes everything out of the name directory but the locks on names. Returns how much there was. */
static int empty(const char *subdirectory)
{
    int count = 0;
    DIR *stream = opendir(path_of(subdirectory));
    assert_non_null(stream);
    for (struct dirent *entry; (entry = readdir(stream));) {
        char path[300];
        snprintf(path, sizeof path, "%s/%s", subdirectory, entry->d_name);
        if (strncmp(entry->d_name, ".lock-", 6) == 0 || unlink(path_of(path)) != 0)
            continue; /* what is no file are directories that belong there */
        print_error("left behind: %s\n", path);
        count++;
    }
    closedir(stream);
    return count;
}

/* Every test cleans up by way of yoke; one that could not must not make the others fail. */
int expect_empty(void **state)
{
    (void)state;
    char intents[32];
    bool failed, clean = case_end(&failed);
    snprintf(intents, sizeof intents, YK_INTENTS "%u", geteuid());
    return (empty(".") + empty(intents) == 0 && clean) || failed ? 0 : -1;
}

void wait_for_ever(void)
{
    for (;;)
        pause();
}

static int use_port(void *argument)
{
    const struct user *user = argument;
    yoke_endpoint *endpoint = open_port(user->address, user->flags);
    const void *message;
    char buffer[100];
    if (user->borrows)
        assert_true(yoke_borrow(endpoint, &message, YOKE_NOW) > 0);
    baton_pass(&user->ready);
    if (user->receives)
        yoke_recv(endpoint, buffer, sizeof buffer, YOKE_FOREVER);
    wait_for_ever();
    return 0;
}

pid_t start_user(struct user *user)
{
    baton_make(&user->ready);
    pid_t pid = role_start(use_port, user);
    baton_take(&user->ready);
    baton_drop(&user->ready);
    return pid;
}

void choose_directory(void)
{
    static char own[] = "/tmp/yoke-inspect-XXXXXX";
    const char *given = getenv("YOKE_DIR");
    if (!given && mkdtemp(own) && setenv("YOKE_DIR", own, 1) == 0)
        given = own;
    snprintf(directory, sizeof directory, "%s", given ? given : "");
    make_kept_port("port:first"); /* makes what yoke keeps in the directory */
    yoke_remove("port:first");
}
