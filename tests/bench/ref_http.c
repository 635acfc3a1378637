/*
 * The reference for AS and TGS: bare libmicrohttpd, which reads a body away and answers with a body of a given size.
 *
 * Usage: ref_http --reply BYTES [--threads N]. Prints its port; ends by a signal.
 */
#include <getopt.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/bench/net.h"

#define REPLY_MAX 16384

static char reply[REPLY_MAX];
static size_t reply_len;

static enum MHD_Result answer(void *cls, struct MHD_Connection *c, const char *url, const char *method,
                              const char *version, const char *data, size_t *data_len, void **state)
{
    static char begun;

    (void)cls, (void)url, (void)method, (void)version, (void)data;
    if (!*state) {
        *state = &begun;
        return MHD_YES;
    }
    if (*data_len) {
        *data_len = 0;
        return MHD_YES;
    }
    struct MHD_Response *r = MHD_create_response_from_buffer(reply_len, reply, MHD_RESPMEM_PERSISTENT);
    enum MHD_Result rc = MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
    if (rc == MHD_YES)
        rc = MHD_queue_response(c, MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return rc;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {
        {"reply",   required_argument, NULL, 'r'},
        {"threads", required_argument, NULL, 't'},
        {NULL,      0,                 NULL, 0  },
    };
    unsigned threads = 1;
    int c;

    while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
        if (c == 'r')
            reply_len = (size_t)number_arg(optarg, 1, REPLY_MAX);
        else if (c == 't')
            threads = (unsigned)number_arg(optarg, 1, 64);
        else
            return 2;
    }
    memset(reply, 'x', sizeof(reply));
    struct MHD_OptionItem pool[] = {
        {threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
        {MHD_OPTION_END,                                             0,                 NULL},
    };
    int port, fd = tcp_listen(&port);
    struct MHD_Daemon *d =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, NULL, MHD_OPTION_LISTEN_SOCKET, fd,
                         MHD_OPTION_CONNECTION_LIMIT, 4096u, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
    if (!d)
        die("cannot start libmicrohttpd");
    printf("port %d\n", port);
    fflush(stdout);
    for (;;)
        pause();
}
