/* The socket's address and the packets on it. */
#include "shared/unseal/packet.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/base/json.h"

static const struct {
    enum rc rc;
    const char *code;
} codes[] = {
    {RC_OK,        "taken"    },
    {RC_MALFORMED, "malformed"},
    {RC_NOT_US,    "foreign"  },
    {RC_REPEAT,    "repeat"   },
};

void unseal_fd_done(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

/* By way of the directory's descriptor: a path would have to be shorter than 108 bytes. */
enum rc unseal_address(const char *dir, struct sockaddr_un *ret, int *ret_dir)
{
    int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? RC_NOT_FOUND : RC_IO;
    *ret = (struct sockaddr_un){.sun_family = AF_UNIX};
    int n = snprintf(ret->sun_path, sizeof ret->sun_path, "/proc/self/fd/%d/" UNSEAL_SOCKET, fd);
    if (n < 0 || (size_t)n >= sizeof ret->sun_path) {
        (void)close(fd);
        return RC_IO;
    }
    *ret_dir = fd;
    return RC_OK;
}

enum rc unseal_reply_write(const struct unseal_reply *r, struct buf *out)
{
    const char *code = NULL;
    struct jw w = jw_start(out);

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].rc == r->rc)
            code = codes[i].code;
    jw_open(&w, NULL, '{');
    jw_text(&w, "code", slice_text(code ? code : "failed"));
    jw_int(&w, "number", r->told.number);
    jw_int(&w, "have", r->told.have);
    jw_int(&w, "need", r->told.need);
    jw_bool(&w, "complete", r->told.is_complete);
    jw_close(&w, '}');
    return jw_end(&w);
}

static enum rc take_number(const json_t *json, const char *name, unsigned *ret)
{
    int64_t value;

    TRY(json_get_int(json, name, &value));
    if (value < 0 || value > SHARES_MAX)
        return RC_MALFORMED;
    *ret = (unsigned)value;
    return RC_OK;
}

enum rc unseal_reply_read(struct slice packet, struct unseal_reply *ret)
{
    AUTO(json_done) json_t *json = NULL;
    struct slice code;

    TRY(json_parse_object(packet, JSON_DEPTH_HTTP, &json));
    TRY(json_get_text(json, "code", &code));
    TRY(take_number(json, "number", &ret->told.number));
    TRY(take_number(json, "have", &ret->told.have));
    TRY(take_number(json, "need", &ret->told.need));
    ret->told.is_complete = json_is_true(json_object_get(json, "complete"));
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        if (slice_eq(code, slice_text(codes[i].code))) {
            ret->rc = codes[i].rc;
            return RC_OK;
        }
    }
    return RC_MALFORMED;
}

enum rc unseal_receive(int fd, struct buf *ret)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (poll(&p, 1, PACKET_TIMEOUT_MS) != 1)
        return RC_IO;
    TRY(buf_reserve(ret, PACKET_MAX + 1));
    ssize_t got = recv(fd, ret->p + ret->n, PACKET_MAX + 1, MSG_DONTWAIT);
    if (got <= 0)
        return RC_IO;
    ret->n += (size_t)got;
    return got > PACKET_MAX ? RC_LIMIT : RC_OK;
}

enum rc unseal_send(int fd, struct slice packet)
{
    return send(fd, packet.p, packet.n, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)packet.n ? RC_OK : RC_IO;
}
