/* Handing shares in: kerbadm's side. */
#include <errno.h>
#include <sys/socket.h>

#include "shared/unseal/packet.h"

enum rc unseal_ask(const struct master_place *place, struct slice text, struct unseal_reply *ret)
{
    AUTO(unseal_fd_done) int dir = -1;
    AUTO(unseal_fd_done) int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    AUTO(buf_done) struct buf packet = {0};
    struct sockaddr_un address;

    if (fd < 0)
        return RC_IO;
    TRY(unseal_address(place->dir, &address, &dir));
    if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return errno == ENOENT || errno == ECONNREFUSED ? RC_NOT_FOUND : RC_IO;
    TRY(unseal_send(fd, text));
    TRY(unseal_receive(fd, &packet));
    return unseal_reply_read(buf_slice(&packet), ret);
}
