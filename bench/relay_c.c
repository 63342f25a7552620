/* The least a vhost-user relay can do, in C, and the two peers that measure a relay.
 *
 *   relay_c relay FRONT BACK     read a header with its ancillary data, then its payload; one sendmsg
 *   relay_c back PATH            answer every message that asks for a reply
 *   relay_c trips PATH N         round trips of a message with NEED_REPLY and one fd; ns of each on stdout
 *   relay_c burst PATH N         N messages without replies, then one with; ns of the whole on stdout
 *   relay_c paced PATH N US M    as trips, with so many microseconds between and M files open
 *   relay_c flood PATH MS        messages without payload, for so long, as fast as they are taken
 *   relay_c pass PATH MS         messages with 253 descriptors each, likewise
 */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/resource.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum { HEADER = 12, MOST = 65536, FDS = 253, NEED_REPLY = 8, SET_VRING_CALL = 13, SET_VRING_NUM = 8 };
struct message { uint32_t request, flags, size; uint8_t payload[MOST]; };

static void die(const char *what) { perror(what); exit(1); }

static struct sockaddr_un address(const char *path)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    strncpy(to.sun_path, path, sizeof to.sun_path - 1);
    return to;
}

static int listening(const char *path)
{
    struct sockaddr_un at = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    unlink(path);
    if (bind(fd, (void *)&at, sizeof at) || listen(fd, 1)) die(path);
    return fd;
}

static int connected(const char *path)
{
    struct sockaddr_un to = address(path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(fd, (void *)&to, sizeof to)) die(path);
    return fd;
}

static int read_all(int fd, void *to, size_t size)
{
    for (size_t done = 0; done < size;) {
        ssize_t got = read(fd, (char *)to + done, size - done);
        if (got <= 0) return 0;
        done += got;
    }
    return 1;
}

/* One message; 0 at the end. The header comes whole from every sender that is measured. */
static int receive(int fd, struct message *message, int *fds, int *count)
{
    char room[CMSG_SPACE(FDS * sizeof(int))];
    struct iovec into = { message, HEADER };
    struct msghdr header = { .msg_iov = &into, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof room };
    ssize_t got = recvmsg(fd, &header, MSG_CMSG_CLOEXEC);
    if (got != HEADER) return 0;
    struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
    *count = rights ? (rights->cmsg_len - CMSG_LEN(0)) / sizeof(int) : 0;
    if (*count) memcpy(fds, CMSG_DATA(rights), *count * sizeof(int));
    return message->size <= MOST && read_all(fd, message->payload, message->size);
}

static void forward(int fd, struct message *message, int *fds, int count)
{
    char room[CMSG_SPACE(FDS * sizeof(int))] = { 0 };
    struct iovec from = { message, HEADER + message->size };
    struct msghdr header = { .msg_iov = &from, .msg_iovlen = 1 };
    if (count) {
        header.msg_control = room;
        header.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *rights = CMSG_FIRSTHDR(&header);
        *rights = (struct cmsghdr){ CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
        memcpy(CMSG_DATA(rights), fds, count * sizeof(int));
    }
    if (sendmsg(fd, &header, MSG_NOSIGNAL) != (ssize_t)from.iov_len) die("sendmsg");
    for (int i = 0; i < count; i++) close(fds[i]);
}

static void relay(const char *front, const char *back)
{
    static struct message message;
    int fds[FDS], count, listener = listening(front);
    for (;;) {
        int end[2] = { accept(listener, 0, 0), connected(back) };
        int epoll = epoll_create1(0);
        for (int i = 0; i < 2; i++) {
            struct epoll_event event = { EPOLLIN, { .u32 = i } };
            epoll_ctl(epoll, EPOLL_CTL_ADD, end[i], &event);
        }
        for (int open = 1; open;) {
            struct epoll_event events[2];
            int ready = epoll_wait(epoll, events, 2, -1);
            for (int i = 0; i < ready && open; i++) {
                int from = events[i].data.u32;
                open = receive(end[from], &message, fds, &count);
                if (open) forward(end[!from], &message, fds, count);
            }
        }
        close(epoll); close(end[0]); close(end[1]);
    }
}

static void back(const char *path)
{
    static struct message message;
    int fds[FDS], count, listener = listening(path);
    for (;;) {
        int peer = accept(listener, 0, 0);
        while (receive(peer, &message, fds, &count)) {
            for (int i = 0; i < count; i++) close(fds[i]);
            if (!(message.flags & NEED_REPLY)) continue;
            struct message reply = { message.request, 5, 8, { 0 } };
            forward(peer, &reply, fds, 0);
        }
        close(peer);
    }
}

static uint64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

static void trip(int peer, struct message *message, int *fd, int count)
{
    static struct message reply;
    int fds[FDS], none;
    int copy = count ? dup(*fd) : -1;
    forward(peer, message, &copy, count);
    if (!receive(peer, &reply, fds, &none)) die("reply");
}

static void trips(const char *path, int times)
{
    static struct message message = { SET_VRING_CALL, 9, 8, { 0 } };
    int peer = connected(path), fd = eventfd(0, 0);
    for (int i = 0; i < times; i++) {
        uint64_t begin = now();
        trip(peer, &message, &fd, 1);
        printf("%llu\n", (unsigned long long)(now() - begin));
    }
}

static void burst(const char *path, int times)
{
    static struct message message = { SET_VRING_NUM, 1, 8, { 0 } }, last = { SET_VRING_NUM, 9, 8, { 0 } };
    int peer = connected(path);
    uint64_t begin = now();
    for (int i = 1; i < times; i++) forward(peer, &message, 0, 0);
    trip(peer, &last, 0, 0);
    printf("%llu\n", (unsigned long long)(now() - begin));
}

static void paced(const char *path, int times, int pause, int files)
{
    static struct message message = { SET_VRING_CALL, 9, 8, { 0 } };
    struct rlimit most;
    getrlimit(RLIMIT_NOFILE, &most);
    most.rlim_cur = most.rlim_max;
    setrlimit(RLIMIT_NOFILE, &most);
    int peer = connected(path), fd = eventfd(0, 0);
    for (int i = 0; i < files; i++) if (dup(0) < 0) die("dup");
    for (int i = 0; i < times; i++) {
        uint64_t begin = now();
        trip(peer, &message, &fd, 1);
        printf("%llu\n", (unsigned long long)(now() - begin));
        usleep(pause);
    }
}

static void flood(const char *path, int milliseconds)
{
    static uint32_t headers[4096 * 3];
    int peer = connected(path);
    for (int i = 0; i < 4096; i++) headers[3 * i] = SET_VRING_NUM, headers[3 * i + 1] = 1;
    for (uint64_t end = now() + milliseconds * 1000000ull; now() < end;)
        for (size_t done = 0; done < sizeof headers;) {
            ssize_t sent = send(peer, (char *)headers + done, sizeof headers - done, MSG_NOSIGNAL);
            if (sent < 0) die("send");
            done += sent;
        }
}

static void pass(const char *path, int milliseconds)
{
    static struct message message = { SET_VRING_CALL, 1, 8, { 0 } };
    int peer = connected(path), fd = eventfd(0, 0), fds[FDS];
    for (uint64_t end = now() + milliseconds * 1000000ull; now() < end;) {
        for (int i = 0; i < FDS; i++) fds[i] = dup(fd);
        forward(peer, &message, fds, FDS);
    }
}

int main(int count, char **words)
{
    if (count == 4 && !strcmp(words[1], "relay")) relay(words[2], words[3]);
    else if (count == 3 && !strcmp(words[1], "back")) back(words[2]);
    else if (count == 4 && !strcmp(words[1], "trips")) trips(words[2], atoi(words[3]));
    else if (count == 6 && !strcmp(words[1], "paced"))
        paced(words[2], atoi(words[3]), atoi(words[4]), atoi(words[5]));
    else if (count == 4 && !strcmp(words[1], "flood")) flood(words[2], atoi(words[3]));
    else if (count == 4 && !strcmp(words[1], "pass")) pass(words[2], atoi(words[3]));
    else if (count == 4 && !strcmp(words[1], "burst")) burst(words[2], atoi(words[3]));
    else return 2;
    return 0;
}
