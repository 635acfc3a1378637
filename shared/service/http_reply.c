/* Replies of the HTTP server. */
#include "shared/service/http_reply.h"

#include <stdio.h>
#include <string.h>

#include "shared/base/json.h"

#define RETRY_AFTER_S 60 /* what is asked too often is remembered for some minutes: a minute makes room */

/* One sentence per wire code, and none that tells more than the code: whoever guesses must learn nothing. */
static const struct {
    const char *wire, *message;
} messages[] = {
    {"KRB_ERR_MALFORMED",           "The server cannot read this request: check path, method, size, and that every field is "
                          "there and properly encoded."                                    },
    {"KDC_ERR_PREAUTH_REQUIRED",    "Prove who you are with what is given here."                                    },
    {"KDC_ERR_PREAUTH_FAILED",      "Name and password do not match, or this account may not log in this way."      },
    {"KRB_AP_ERR_SKEW",             "The clock of this device differs too much from the server's (see server_time)."},
    {"KRB_AP_ERR_REPEAT",           "This request was used before: make a new one with the present time."           },
    {"KRB_AP_ERR_TKT_EXPIRED",      "The ticket is no longer valid: log in again."                                  },
    {"KRB_AP_ERR_MODIFIED",         "The ticket or the authenticator is not valid here: log in again."              },
    {"KRB_AP_ERR_BADMATCH",         "The ticket was issued to another client than the authenticator names."         },
    {"KDC_ERR_S_PRINCIPAL_UNKNOWN", "There is no such service."                                                     },
    {"KDC_ERR_POLICY",              "The policy of this realm does not allow it."                                   },
    {"KERB_ERR_RATE_LIMITED",       "Too many requests: wait as long as Retry-After says."                          },
};

static const char *message_of(const char *wire)
{
    for (size_t i = 0; i < ARRAY_LEN(messages); i++)
        if (strcmp(messages[i].wire, wire) == 0)
            return messages[i].message;
    return "The server failed: its log tells more under op_id.";
}

struct jw http_reply_error_open(struct http_reply *reply, enum rc rc, const char *op_id)
{
    const char *wire = rc_wire(rc);

    buf_reset(&reply->body);
    reply->status = rc_http(rc);
    reply->content_type = "application/json";
    if (reply->status == MHD_HTTP_TOO_MANY_REQUESTS && reply->retry_after_s <= 0)
        reply->retry_after_s = RETRY_AFTER_S;
    struct jw w = jw_start(&reply->body);
    jw_open(&w, NULL, '{');
    jw_text(&w, "error", slice_text(wire));
    jw_text(&w, "message", slice_text(message_of(wire)));
    jw_text(&w, "op_id", slice_text(op_id));
    jw_int(&w, "server_time", clock_s());
    return w;
}

void http_reply_error_close(struct http_reply *reply, struct jw *w)
{
    jw_close(w, '}');
    if (jw_end(w) != RC_OK)
        buf_reset(&reply->body); /* the status still tells */
}

void http_reply_error(struct http_reply *reply, enum rc rc, const char *op_id)
{
    struct jw w = http_reply_error_open(reply, rc, op_id);
    http_reply_error_close(reply, &w);
}

static bool add(struct MHD_Response *r, const char *name, const char *value)
{
    return MHD_add_response_header(r, name, value) == MHD_YES;
}

static bool add_headers(struct MHD_Response *r, const struct http_reply *reply, const struct http_extra *extra)
{
    char retry[16];

    if (!add(r, MHD_HTTP_HEADER_CONTENT_TYPE, reply->content_type ? reply->content_type : "text/plain") ||
        !add(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"))
        return false;
    if (extra->allow && !add(r, MHD_HTTP_HEADER_ALLOW, extra->allow))
        return false;
    if (extra->close && !add(r, MHD_HTTP_HEADER_CONNECTION, "close"))
        return false;
    if (reply->retry_after_s <= 0)
        return true;
    (void)snprintf(retry, sizeof retry, "%d", reply->retry_after_s);
    return add(r, MHD_HTTP_HEADER_RETRY_AFTER, retry);
}

enum MHD_Result http_reply_send(struct MHD_Connection *c, struct http_reply *reply, const struct http_extra *extra)
{
    /* The body moves: libmicrohttpd frees it. */
    struct MHD_Response *r = MHD_create_response_from_buffer(
        reply->body.n, reply->body.p, reply->body.p ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (!r)
        return MHD_NO;
    reply->body = (struct buf){0};
    enum MHD_Result sent = MHD_NO;
    if (add_headers(r, reply, extra))
        sent = MHD_queue_response(c, reply->status ? (unsigned)reply->status : MHD_HTTP_OK, r);
    MHD_destroy_response(r);
    return sent;
}
