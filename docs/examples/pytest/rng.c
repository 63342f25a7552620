/* A vhost-user entropy device in one file of C: one connection, one split ring, no library.
 * cc -O2 -Wall -o rng-c rng.c && ./rng-c /tmp/rng.sock */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { VERSION = 1, REPLY = 4, NEED_REPLY = 8, MOST_REGIONS = 8, MOST_FDS = 253, NOFD = 0x100 };
enum { GET_FEATURES = 1, SET_FEATURES, SET_OWNER, RESET_OWNER, SET_MEM_TABLE, SET_VRING_NUM = 8, SET_VRING_ADDR,
       SET_VRING_BASE, GET_VRING_BASE, SET_VRING_KICK, SET_VRING_CALL, SET_VRING_ERR, GET_PROTOCOL_FEATURES,
       SET_PROTOCOL_FEATURES, GET_QUEUE_NUM, SET_VRING_ENABLE };
#define FEATURES (1ull << 30 | 1ull << 32) /* PROTOCOL_FEATURES, VERSION_1 */
#define PROTOCOL (1ull << 0 | 1ull << 3)   /* MQ, REPLY_ACK */

struct region { uint64_t guest, size, user, offset; };
struct header { uint32_t request, flags, size; };
struct message {
    struct header head;
    union {
        uint64_t u64;
        struct { uint32_t index, num; } state;
        struct { uint32_t index, flags; uint64_t descriptor, used, available, log; } address;
        struct { uint32_t count, padding; struct region regions[MOST_REGIONS]; } memory;
        uint8_t bytes[4096];
    };
} __attribute__((packed)); /* the payload follows the 12 bytes of the header at once */
struct descriptor { uint64_t address; uint32_t length; uint16_t flags, next; };
struct mapped { struct region region; uint8_t *start; };

static struct mapped regions[MOST_REGIONS];
static int count, kick = -1, call = -1, started, enabled, polls;
static uint64_t features, protocol, descriptors, available, used;
static uint32_t size;
static uint16_t base;

/* `length` bytes at a user (or guest) address of the front-end's memory; NULL where there are none. */
static void *at(uint64_t address, uint64_t length, int guest)
{
    for (int i = 0; i < count; i++) {
        struct region *r = &regions[i].region;
        uint64_t from = guest ? r->guest : r->user;
        if (address >= from && address - from <= r->size && length <= r->size - (address - from))
            return regions[i].start + r->offset + (address - from);
    }
    return NULL;
}

static void serve(void)
{
    struct descriptor *table = at(descriptors, 16ull * size, 0);
    uint16_t *avail = at(available, 6 + 2ull * size, 0);
    uint8_t *ring = at(used, 6 + 8ull * size, 0);
    if (!started || !enabled || !table || !avail || !ring || !size)
        return;
    int any = 0;
    for (uint32_t most = size; most && base != __atomic_load_n(&avail[1], __ATOMIC_ACQUIRE); most--, base++) {
        uint16_t head = avail[2 + base % size], next = head;
        uint32_t written = 0, left = size;
        if (head >= size)
            return;
        do {
            struct descriptor d = table[next];
            void *buffer = at(d.address, d.length, 1);
            if (d.flags & 2 && buffer && getrandom(buffer, d.length, 0) == (ssize_t)d.length)
                written += d.length;
            if (!(d.flags & 1) || d.next >= size)
                break;
            next = d.next;
        } while (--left);
        uint32_t element[2] = { head, written };
        memcpy(ring + 4 + 8 * (base % size), element, 8);
        __atomic_store_n((uint16_t *)(ring + 2), (uint16_t)(base + 1), __ATOMIC_RELEASE);
        any = 1;
    }
    if (any && call >= 0 && !(avail[0] & 1) && write(call, &(uint64_t){ 1 }, 8) < 0)
        perror("call");
}

static void forget(void)
{
    for (; count; count--) {
        struct mapped *last = &regions[count - 1];
        if (munmap(last->start, last->region.size + last->region.offset))
            perror("munmap");
    }
}

static int map(struct message *m, int *fds, int given)
{
    struct stat file;
    if (m->memory.count > MOST_REGIONS || (int)m->memory.count != given
        || m->head.size != 8 + m->memory.count * sizeof(struct region))
        return 1;
    forget();
    for (int i = 0; i < given; i++) {
        struct region r = m->memory.regions[i];
        uint64_t end;
        if (!r.size || __builtin_add_overflow(r.offset, r.size, &end) || fstat(fds[i], &file)
            || end > (uint64_t)file.st_size || r.guest + r.size < r.guest || r.user + r.size < r.user)
            return 1;
        for (int j = 0; j < i; j++) {
            struct region *o = &regions[j].region;
            if ((r.guest < o->guest + o->size && o->guest < r.guest + r.size)
                || (r.user < o->user + o->size && o->user < r.user + r.size))
                return 1;
        }
        void *start = mmap(NULL, end, PROT_READ | PROT_WRITE, MAP_SHARED, fds[i], 0);
        if (start == MAP_FAILED)
            return 1;
        regions[count++] = (struct mapped){ r, start };
    }
    return 0;
}

/* Keep a message's descriptor in `slot`; the earlier is closed. */
static int keep(int *slot, struct message *m, int *fds, int given)
{
    if (m->u64 & 0xff || given != !(m->u64 & NOFD))
        return 1;
    if (*slot >= 0)
        close(*slot);
    *slot = given ? fds[0] : -1;
    fds[0] = given ? -1 : fds[0];
    return 0;
}

/* Carry a request out: 0, or 1 for a failure; -1 where `m` holds a reply of its own. */
static int carry_out(struct message *m, int *fds, int given)
{
    static const uint8_t sizes[] = { [SET_FEATURES] = 8, [SET_VRING_NUM] = 8, [SET_VRING_ADDR] = 40,
        [SET_VRING_BASE] = 8, [GET_VRING_BASE] = 8, [SET_VRING_KICK] = 8, [SET_VRING_CALL] = 8,
        [SET_VRING_ERR] = 8, [SET_PROTOCOL_FEATURES] = 8, [SET_VRING_ENABLE] = 8 };
    static int error = -1;
    uint32_t request = m->head.request;
    if (request == SET_MEM_TABLE)
        return map(m, fds, given);
    if (request > SET_VRING_ENABLE || m->head.size != sizes[request])
        return 1;
    if (((request >= SET_VRING_NUM && request <= GET_VRING_BASE) || request == SET_VRING_ENABLE) && m->state.index)
        return 1; /* there is one ring */
    switch (request) {
    case GET_FEATURES: m->u64 = FEATURES; m->head.size = 8; return -1;
    case SET_FEATURES:
        if (m->u64 & ~FEATURES)
            return 1;
        features = m->u64;
        enabled |= !(features & 1ull << 30);
        return 0;
    case SET_OWNER: return 0;
    case RESET_OWNER: enabled = 0; return 0;
    case SET_VRING_NUM:
        if (!m->state.num || m->state.num > 32768 || m->state.num & (m->state.num - 1))
            return 1;
        size = m->state.num;
        return 0;
    case SET_VRING_ADDR:
        descriptors = m->address.descriptor; available = m->address.available; used = m->address.used;
        return !at(descriptors, 16, 0) || !at(available, 6, 0) || !at(used, 6, 0);
    case SET_VRING_BASE: base = m->state.num; return 0;
    case GET_VRING_BASE: started = polls = 0; m->state.num = base; return -1;
    case SET_VRING_KICK: polls = !!(m->u64 & NOFD); return keep(&kick, m, fds, given) || !(started = 1);
    case SET_VRING_CALL: return keep(&call, m, fds, given);
    case SET_VRING_ERR: return keep(&error, m, fds, given);
    case GET_PROTOCOL_FEATURES: m->u64 = PROTOCOL; m->head.size = 8; return -1;
    case SET_PROTOCOL_FEATURES: protocol = m->u64; return !!(m->u64 & ~PROTOCOL);
    case GET_QUEUE_NUM: m->u64 = 1; m->head.size = 8; return -1;
    case SET_VRING_ENABLE: enabled = m->state.num; return m->state.num > 1;
    }
    return 1;
}

/* One message with its descriptors; 0 at the end of the connection. */
static int receive(int peer, struct message *m, int *fds, int *given)
{
    char control[CMSG_SPACE(MOST_FDS * sizeof(int))];
    size_t got = 0, wanted = sizeof m->head;
    *given = 0;
    while (got < wanted) {
        struct iovec part = { (uint8_t *)m + got, wanted - got };
        struct msghdr read = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                               .msg_controllen = sizeof control };
        ssize_t n = recvmsg(peer, &read, MSG_CMSG_CLOEXEC);
        if (n <= 0)
            return 0;
        for (struct cmsghdr *c = CMSG_FIRSTHDR(&read); c; c = CMSG_NXTHDR(&read, c)) {
            int more = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
            for (int i = 0; i < more; i++) {
                int fd = ((int *)CMSG_DATA(c))[i];
                if (*given < MOST_FDS) fds[(*given)++] = fd; else close(fd);
            }
        }
        got += n;
        if (got == sizeof m->head && wanted == sizeof m->head) {
            if (m->head.size > sizeof m->bytes || (m->head.flags & 7) != VERSION)
                return 0;
            wanted += m->head.size;
        }
    }
    return 1;
}

static int handle(int peer)
{
    struct message m = { 0 };
    int fds[MOST_FDS], given, alive = receive(peer, &m, fds, &given);
    if (alive) {
        int acknowledge = m.head.flags & NEED_REPLY && protocol & 1ull << 3;
        int status = carry_out(&m, fds, given);
        if (status >= 0)
            m.u64 = status, m.head.size = 8;
        m.head.flags = VERSION | REPLY;
        if ((status < 0 || acknowledge) && send(peer, &m, sizeof m.head + m.head.size, MSG_NOSIGNAL) < 0)
            alive = 0;
        if (status > 0 && !acknowledge)
            alive = 0; /* nothing else tells the front-end */
    }
    for (int i = 0; i < given; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    return alive;
}

int main(int argc, char **argv)
{
    struct sockaddr_un where = { .sun_family = AF_UNIX };
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (argc != 2)
        return fprintf(stderr, "usage: %s SOCKET\n", argv[0]), 2;
    snprintf(where.sun_path, sizeof where.sun_path, "%s", argv[1]);
    if (bind(listener, (void *)&where, sizeof where) || listen(listener, 8))
        return perror(argv[1]), 1;
    for (;;) {
        int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC), alive = peer >= 0;
        while (alive) {
            struct pollfd wait[] = { { peer, POLLIN, 0 }, { started ? kick : -1, POLLIN, 0 } };
            if (poll(wait, 2, polls ? 1 : -1) < 0)
                break;
            if (wait[1].revents & POLLIN) {
                uint64_t ignored;
                if (read(kick, &ignored, 8) < 0 && errno != EAGAIN)
                    perror("kick");
            }
            if (wait[0].revents)
                alive = handle(peer);
            serve();
        }
        close(peer);
        forget();
        if (kick >= 0) close(kick);
        if (call >= 0) close(call);
        kick = call = -1;
        features = protocol = 0;
        started = enabled = polls = size = base = 0;
    }
}
