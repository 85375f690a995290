/*
 * plugin.c - see plugin.h.
 */
#include "plugin.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hide.h"
#include "yoke.h"

#define PATH_MOST 512

static int fail_here(int error, const char *sentence)
{
    return yk_fail(error, "%s", sentence);
}

static const struct yk_plugin_host host = {
    .layout = YK_PLUGIN_LAYOUT,
    .fail = fail_here,
    .explain = yoke_explain,
    .hide = yk_hide_logins,
};

static const struct yk_place *load(const char *scheme, int *ret_error)
{
    const char *directory = secure_getenv("YOKE_PLUGINS");
    char path[PATH_MOST];

    *ret_error = -ENOTSUP;
    if (!directory || directory[0] == '\0')
        directory = YK_PLUGIN_DIRECTORY;
    int length = snprintf(path, sizeof path, "%s/%s.so", directory, scheme);
    if (length >= (int)sizeof path) {
        *ret_error = yk_fail(EINVAL, "YOKE_PLUGINS is longer than %d bytes", PATH_MOST - 16);
        return NULL;
    }
    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!module) {
        const char *why = dlerror();
        *ret_error =
            yk_fail(ENOTSUP,
                    "the place %s:// needs a module that can not be loaded (Debian: the package "
                    "yoke-%s): %.300s",
                    scheme, scheme, why ? why : path);
        return NULL;
    }
    yk_plugin_entry *entry;
    void *symbol = dlsym(module, "yoke_place");
    memcpy(&entry, &symbol, sizeof entry);
    struct yk_plugin_host given = host;
    given.version = yoke_version();
    const struct yk_place *place = symbol ? entry(&given) : NULL;
    if (!place) {
        *ret_error =
            yk_fail(ENOTSUP, "%.400s is not of this yoke (%s): the two are installed together",
                    path, yoke_version());
        dlclose(module);
    }
    return place;
}

const struct yk_place *yk_plugin_place(const char *scheme, int *ret_error)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    static const struct yk_place *loaded; /* there is one scheme so far */

    int before = errno;
    pthread_mutex_lock(&mutex);
    if (!loaded)
        loaded = load(scheme, ret_error);
    const struct yk_place *place = loaded;
    pthread_mutex_unlock(&mutex);
    errno = before;
    return place;
}
