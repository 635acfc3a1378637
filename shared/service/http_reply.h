/* Replies of the HTTP server: error bodies, and the way to libmicrohttpd. Internal to the folder. */
#ifndef KERB_SERVICE_HTTP_REPLY_H
#define KERB_SERVICE_HTTP_REPLY_H

#include <microhttpd.h>

#include "shared/service/http.h"

/* What a reply carries beside what a handler may say. */
struct http_extra {
    const char *allow; /* NULL: none */
    bool close;        /* no further request on this connection */
};

/* Gives the reply to libmicrohttpd; its body is moved out. Returns MHD_NO when the connection must be dropped. */
enum MHD_Result http_reply_send(struct MHD_Connection *c, struct http_reply *reply, const struct http_extra *extra);

#endif
