/* Writes down what a process makes durable, for tests of a power cut: loaded with LD_PRELOAD.

   Every fsync and fdatasync of a file below $DURABLE_ROOT keeps a copy of the file as it is at that moment, and
   every fsync of a folder the names in it. A line in $DURABLE_LOG/log tells which, in order. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int number;

/* Which file it is: a number may be used again, together with the time of its making it is not. */
static void name_of(int folder, const char *path, int flags, char *text, size_t size) {
    struct statx facts;
    memset(&facts, 0, sizeof facts);
    statx(folder, path, flags, STATX_INO | STATX_BTIME, &facts);
    snprintf(text, size, "%llu-%lld-%u", (unsigned long long)facts.stx_ino, (long long)facts.stx_btime.tv_sec,
             facts.stx_btime.tv_nsec);
}

static void keep(int descriptor) {
    const char *root = getenv("DURABLE_ROOT"), *folder = getenv("DURABLE_LOG");
    char link[64], path[PATH_MAX], copy[PATH_MAX], line[3 * PATH_MAX], block[65536];
    struct stat facts;
    if (!root || !folder || fstat(descriptor, &facts)) return;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return;
    path[length] = 0;
    if (strncmp(path, root, strlen(root))) return;
    pthread_mutex_lock(&lock);
    int mine = ++number;
    snprintf(copy, sizeof copy, "%s/%06d", folder, mine);
    int to = open(copy, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (S_ISDIR(facts.st_mode)) {
        DIR *names = opendir(path);
        struct dirent *name;
        while (names && (name = readdir(names))) {
            char of[64], below[PATH_MAX * 2];
            if (name->d_name[0] == '.' && (!name->d_name[1] || name->d_name[1] == '.')) continue;
            snprintf(below, sizeof below, "%s/%s", path, name->d_name);
            name_of(AT_FDCWD, below, 0, of, sizeof of);
            dprintf(to, "%s %s\n", of, name->d_name);
        }
        if (names) closedir(names);
    } else {
        off_t at = 0;
        ssize_t got;
        int from = open(link, O_RDONLY);
        while ((got = pread(from, block, sizeof block, at)) > 0) {
            if (write(to, block, got) != got) abort();
            at += got;
        }
        close(from);
    }
    close(to);
    snprintf(copy, sizeof copy, "%s/log", folder);
    int log = open(copy, O_WRONLY | O_CREAT | O_APPEND, 0600);
    name_of(descriptor, "", AT_EMPTY_PATH, link, sizeof link);
    int size = snprintf(line, sizeof line, "%06d %s %s %s\n", mine, S_ISDIR(facts.st_mode) ? "folder" : "file", link,
                        path);
    if (write(log, line, size) != size) abort();
    close(log);
    pthread_mutex_unlock(&lock);
}

int fsync(int descriptor) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    keep(descriptor);
    return real(descriptor);
}

int fdatasync(int descriptor) {
    static int (*real)(int);
    if (!real) real = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    keep(descriptor);
    return real(descriptor);
}
