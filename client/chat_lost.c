/* The chat connection: its end, whether it is sought again, and with which ticket. */
#include <stdio.h>
#include <string.h>

#include "client/chat_conn.h"

#define CODE_PROTOCOL 4501
#define CODE_FATAL    4500 /* from here on a new connection would fare no better */
#define CODE_CUT_OFF  4503
#define CODE_POLICY   1008

void conn_over(struct kerb_chat *c, enum kerb_status status, const char *why)
{
    if (c->is_over)
        return;
    c->is_over = true;
    c->over = status;
    (void)snprintf(c->why, sizeof c->why, "%s", why);
}

enum rc conn_tell_over(struct kerb_chat *c)
{
    return client_fail(c->k, c->over, "%s", c->why);
}

/* The server does not keep to the protocol, or is not who it should be. */
void conn_distrust(struct kerb_chat *c, const char *why)
{
    char text[200];

    (void)snprintf(text, sizeof text, "the chat cannot be trusted: %s", why);
    conn_over(c, KERB_UNTRUSTED, text);
    ws_end(c->ws, CODE_PROTOCOL);
}

static const char *words_of_code(unsigned code)
{
    static const struct {
        unsigned code;
        const char *words;
    } codes[] = {
        {4000, "the chat restarts"                                                                             },
        {4001, "the chat had a fault"                                                                          },
        {4002, "the ticket is over"                                                                            },
        {4003, "this client was too slow"                                                                      },
        {4004, "the chat had no sign of life from us"                                                          },
        {4500, "the chat does not take the ticket: kerb login"                                                 },
        {4501, "the chat did not understand this client"                                                       },
        {4502, "the login took too long"                                                                       },
        {4503, "the account was cut off, disabled or shown the door; kerb login tells whether it is good again"},
        {4504, "too many connections from this address"                                                        },
        {4505, "the chat speaks another version"                                                               },
        {4506, "the chat does not take connections from here"                                                  },
        {4507, "another connection has taken over"                                                             },
        {1009, "a message was larger than the chat takes"                                                      },
        {1013, "the chat has too much to do"                                                                   },
    };

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (codes[i].code == code)
            return codes[i].words;
    return "the connection was lost";
}

/* --- tickets --- */

/*
 * The file may have changed since: renewed, logged out, another user. Not for a short connection: it may be part of a
 * login that is not in the file yet.
 */
enum rc conn_reload(struct kerb_chat *c)
{
    struct kerb *k = c->k;

    if (k->no_cache || c->o.stay_lost)
        return RC_OK;
    cache_done(&k->cache);
    TRY(client_load(k));
    if (!slice_eq(name_slice(&k->cache.client), name_slice(&c->session.client)) ||
        !slice_eq(name_slice(&k->cache.realm), name_slice(&c->session.realm)))
        return client_fail(k, KERB_NO_TICKET, "somebody else is logged in now: %s", k->cache.client.s);
    return RC_OK;
}

enum rc conn_fresh_ticket(struct kerb_chat *c, struct cache_entry *ret)
{
    TRY(conn_reload(c));
    return client_fresh_ticket(c->k, &c->service, ret);
}

/* --- a connection that is lost --- */

/* The chat ends a connection in the same way for somebody who was shown the door only: the TGS knows. */
static void over_because_cut_off(struct kerb_chat *c, const char *why)
{
    AUTO(cache_entry_done) struct cache_entry ticket = {0};

    if (conn_fresh_ticket(c, &ticket) != RC_OK && c->k->status == KERB_EXPIRED)
        conn_over(c, KERB_EXPIRED, kerb_error(c->k));
    conn_over(c, KERB_UNREACHABLE, why);
}

/* Where the next connection goes on. One that was never welcomed leaves it as it was. */
static void keep_resume(struct kerb_chat *c)
{
    if (c->feed)
        feed_lost(c->feed);
    if (!c->session.has_keys)
        return;
    memcpy(c->resume.token, c->session.token, CHAT_TOKEN);
    c->resume.last = (int64_t)c->processed - 1;
    c->has_resume = true;
}

/* Half of it, and up to as much again: clients that lost the same server do not all come back at once. */
static int64_t spread(unsigned pause_ms)
{
    uint8_t random[4] = {0};

    if (random_bytes(random, sizeof random) != RC_OK)
        return pause_ms;
    return pause_ms / 2 + get_u32be(random) % (pause_ms / 2 + 1);
}

void conn_back_off(struct kerb_chat *c)
{
    c->retry_ms = clock_monotonic_ms() + (c->return_ms ? c->return_ms : spread(c->backoff_ms));
    c->return_ms = 0;
    c->backoff_ms = c->backoff_ms * 2 > BACKOFF_MAX_MS ? BACKOFF_MAX_MS : c->backoff_ms * 2;
}

void conn_lost(struct kerb_chat *c)
{
    unsigned code = ws_close_code(c->ws);
    char why[400];

    if (ws_error(c->ws)[0])
        (void)snprintf(why, sizeof why, "no connection to the chat at %s: %s", kerb_url(c->k), ws_error(c->ws));
    else
        (void)snprintf(why, sizeof why, "%s", words_of_code(code));
    bool was_ready = c->is_ready;
    c->is_ready = false;
    keep_resume(c);
    ws_close(c->ws);
    c->ws = NULL;
    if ((code == CODE_FATAL || code == CODE_CUT_OFF) && !was_ready && !c->wants_fresh) {
        c->wants_fresh = true;
        c->retry_ms = clock_monotonic_ms();
        return;
    }
    if (code == CODE_CUT_OFF)
        over_because_cut_off(c, why);
    else if (code == CODE_TOO_BIG || code == CODE_POLICY || code >= CODE_FATAL)
        conn_over(c, code == CODE_FATAL ? KERB_REFUSED : KERB_UNREACHABLE, why);
    else if (c->o.stay_lost || !c->was_ready)
        conn_over(c, KERB_UNREACHABLE, why);
    conn_back_off(c);
    if (was_ready && !c->is_over)
        chat_tell(c, KERB_CHAT_LOST, why);
}
