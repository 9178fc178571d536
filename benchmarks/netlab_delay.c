/* A one-way delay between two network namespaces, for kernels without netem.
 *
 * usage: netlab_delay FROM_NAMESPACE FROM_DEVICE TO_NAMESPACE TO_DEVICE DELAY_US
 *
 * Makes a TUN device in each namespace. What is routed into the first comes out of the second DELAY_US
 * later, in order. Says "ready" when both devices exist; ends when its standard input is closed, so that it
 * never outlives whoever started it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { SLOTS = 1 << 15, MTU = 2048, BATCH = 128 };

struct packet {
    long long due_ns;
    ssize_t length;
    unsigned char bytes[MTU];
};

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int make_device(const char *namespace, const char *name) {
    char path[256];
    struct ifreq request = {0};
    snprintf(path, sizeof path, "/var/run/netns/%s", namespace);
    int there = open(path, O_RDONLY | O_CLOEXEC);
    if (there < 0 || setns(there, CLONE_NEWNET)) fail(path);
    close(there);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (device < 0) fail("/dev/net/tun");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    strncpy(request.ifr_name, name, IFNAMSIZ - 1);
    if (ioctl(device, TUNSETIFF, &request)) fail(name);
    return device;
}

int main(int count, char **words) {
    if (count != 6) {
        fprintf(stderr, "usage: netlab_delay FROM_NAMESPACE FROM_DEVICE TO_NAMESPACE TO_DEVICE DELAY_US\n");
        return 2;
    }
    int from = make_device(words[1], words[2]), to = make_device(words[3], words[4]);
    long long delay_ns = atoll(words[5]) * 1000LL;
    struct packet *ring = malloc(sizeof *ring * SLOTS);
    unsigned first = 0, next = 0;
    struct sched_param urgent = {.sched_priority = 1};
    if (!ring) fail("malloc");
    sched_setscheduler(0, SCHED_FIFO, &urgent); /* where that is allowed: a late wake-up would be measured */
    prctl(PR_SET_TIMERSLACK, 1000UL);
    puts("ready");
    fflush(stdout);
    for (;;) {
        for (long long now = now_ns(); first != next && ring[first % SLOTS].due_ns <= now; first++) {
            struct packet *out = &ring[first % SLOTS];
            if (write(to, out->bytes, (size_t)out->length) < 0 && errno != EAGAIN && errno != ENOBUFS && errno != EIO)
                fail("write");
        }
        int read_now = 0;
        while (next - first < SLOTS && read_now < BATCH) {
            struct packet *in = &ring[next % SLOTS];
            in->length = read(from, in->bytes, MTU);
            if (in->length <= 0) break;
            in->due_ns = now_ns() + delay_ns;
            next++;
            read_now++;
        }
        if (read_now == BATCH) continue;
        struct pollfd wait[2] = {{.fd = from, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
        struct timespec left = {0}, *until = NULL;
        if (first != next) {
            long long left_ns = ring[first % SLOTS].due_ns - now_ns();
            if (left_ns < 0) left_ns = 0;
            left.tv_sec = left_ns / 1000000000LL;
            left.tv_nsec = left_ns % 1000000000LL;
            until = &left;
        }
        if (next - first == SLOTS) wait[0].fd = -1; /* full: what comes now is dropped by the device */
        if (ppoll(wait, 2, until, NULL) < 0 && errno != EINTR) fail("poll");
        if (wait[1].revents) return 0;
    }
}
