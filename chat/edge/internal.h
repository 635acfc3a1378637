/*
 * The edge from inside.
 *
 *   socket -> lws.c -> session.c -> step.c: chat_step() -> actions -> queue.c: one write per session and turn
 *
 * Rules that keep it simple: nothing here closes a libwebsockets connection at once, so nothing is called back in the
 * middle of something; a session that is closed is told to the core after the actions of the running step; a session is
 * freed when both the socket and the core have let go of it.
 */
#ifndef KERB_CHAT_EDGE_INTERNAL_H
#define KERB_CHAT_EDGE_INTERNAL_H

#include <libwebsockets.h>
#include <sys/queue.h>
#include <uv.h>

#include "chat/edge/edge.h"
#include "shared/base/tree.h"
#include "shared/service/log.h"
#include "shared/service/proxy.h"

#define ACCEPTS_PER_WAKE  64    /* so that a flood of connections does not starve those who talk */
#define ACCEPT_PAUSE_MS   500   /* out of descriptors: what we wait before the next try */
#define CONNECTIONS_SPARE 256   /* sockets beyond connections_max: those that are told 1013, and health checks */
#define FILES_MAX         65536 /* libwebsockets has a table of 16 bytes for each descriptor there may be */
#define FILES_OWN         64    /* descriptors that are no connections */
#define WRITE_CHUNK       65536 /* bytes gathered into one write */
#define RX_PIECE          4096  /* bytes of a message that libwebsockets holds per connection */
#define CLOSE_WAIT_MS     5000  /* from our close frame to the end of the socket */
#define DRAIN_STORE_MS    4000  /* at a stop: for the store to do what it has, */
#define DRAIN_REFUSE_MS   1000  /* or else to give it back, */
#define DRAIN_CLOSE_MS    3000  /* and then for the clients; */
#define DRAIN_ALL_S       12    /* for all of it, whatever hangs */
#define STORE_STALL_MS    10000 /* without a word of the store, and it counts as ill */
#define JOBS_MAX          4000  /* jobs at the store; more, and clients are not read until half are done; */
#define JOBS_BYTES_MAX    (32U * 1024 * 1024) /* so with the bytes in them */
#define LINES_PER_S       50                  /* log lines a second of a kind that strangers can cause */
#define POOL_MAX          4096                /* buffers that are kept between two turns ... */
#define POOL_BUF_MAX      16384               /* ... unless they have grown larger */

/* At most so many log lines of a kind in a second. */
struct quota {
    int64_t second;
    unsigned n;
};

/* A client address, of IPv6 its network, and how many sessions it has. */
struct address {
    RB_ENTRY(address) in_tree;
    char text[ADDRESS_MAX];
    size_t sessions_n;
};

RB_HEAD(address_tree, address);

/* Where a session stands: each list is in the order of time, so a look at its head is enough. */
enum life {
    LIFE_ALIVE,   /* since its last sign of life */
    LIFE_PINGED,  /* since our ping */
    LIFE_CLOSING, /* since our close frame */
    LIFE_COUNT
};

struct lag {
    RB_ENTRY(lag) in_tree;
    uint8_t uid[ID_LEN]; /* of the room; another one may have its id later */
    struct name room;
    uint64_t from_seq;
};

RB_HEAD(lag_tree, lag);

struct session {
    /* What a delivered frame touches lies together: with many connections each of them is read from memory anew. */
    struct edge *edge;
    struct lws *wsi;        /* NULL: the socket is gone */
    struct chat_conn *conn; /* NULL: the core does not know it, or no more */
    struct wire_conn *wire;
    struct buf out; /* whole frames; from out_at on they are not written yet */
    size_t out_at;
    size_t held;          /* bytes of the last write, while libwebsockets holds some of them back */
    struct lag_tree lags; /* rooms of which it has missed something */
    TAILQ_ENTRY(session) in_dirty;
    bool is_dirty;  /* in the dirty list */
    bool is_choked; /* the socket takes no more; a WRITEABLE will come */
    bool wants_online, wants_presence;
    bool is_closing; /* nothing more is taken from it or given to it */
    bool has_peer_closed;
    bool is_departing; /* in the departing list */
    bool is_paused;    /* not read from, the store is behind; `in` is a whole message */
    bool is_kept_binary;

    TAILQ_ENTRY(session) in_life, in_choked, in_paused;
    STAILQ_ENTRY(session) in_departing;
    struct address *address;
    char from[ADDRESS_MAX]; /* the whole of it */
    struct buf in;          /* pieces of a message that came in several, or one that is kept */
    int64_t life_ms;
    enum life life;
    uint16_t close_code; /* ours, or what the peer said */
    int64_t choked_ms;   /* since when */
    char op_id[OP_ID_LEN + 1];
};

TAILQ_HEAD(session_list, session);

enum drain { DRAIN_NONE, DRAIN_STORE, DRAIN_REFUSE, DRAIN_CLOSE, DRAIN_OVER };

struct edge {
    struct edge_options o;
    struct name service;
    struct proxy_list proxies;
    size_t connections_max;

    uv_loop_t loop;
    uv_poll_t listener, signals;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_async_t wake;
    uv_timer_t deadline, second, again; /* of the core; once a second; accepting and draining */
    int listen_fd, signal_fd;
    unsigned port;
    bool is_loop_made;

    struct lws_context *lws;
    struct lws_vhost *vhost;
    size_t sockets_n, sessions_n, jobs_n, jobs_bytes;
    bool is_reading_paused;
    int64_t store_moved_ms; /* when there were none, or it gave some back; monotonic */
    enum rc told_ready;     /* the last word of readyz */

    struct session_list life[LIFE_COUNT], dirty, choked, paused; /* longest first */
    STAILQ_HEAD(, session) departing;
    struct address_tree addresses;
    bool is_stepping;
    struct buf json[WIRE_PROFILES]; /* the push at hand, for each profile that gets it */
    struct buf pool[POOL_MAX];
    size_t pool_n;
    struct quota refusals;

    struct feed *feed;   /* NULL: none is configured */
    struct news *news;   /* what the feed's thread hands over */
    struct inner *inner; /* the inner listener; NULL: none is configured */
    uv_async_t heard;
    bool must_end; /* the feed ordered it */

    enum drain drain;
    int64_t drain_until_ms;
};

/* http.c: plain answers; the connection is closed after each. Returns what a callback has to return. */
struct http_head {
    int status;
    const char *phrase, *extra; /* extra: further header lines, each with its end; "" for none */
};
int http_answer(struct lws *wsi, const struct http_head *head, const char *body);
int http_get(struct edge *e, struct lws *wsi, const char *path); /* a request that asks for no upgrade */
MUST enum rc edge_store_health(const struct edge *e);
void http_refuse_socket(int fd); /* before libwebsockets knows it */

/* upgrade.c: may this request become a websocket? 0: yes; else it was answered. */
int upgrade_check(struct edge *e, struct lws *wsi);
enum wire_profile upgrade_profile(struct lws *wsi); /* by the subprotocol */
void upgrade_address(const struct edge *e, struct lws *wsi, char out[ADDRESS_MAX]);

/* origin.c */
bool origin_is_allowed(const char *allowed, struct slice origin);
bool origins_are_well_formed(const char *allowed);

/* lws.c */
MUST enum rc lws_start(struct edge *e);
void lws_stop(struct edge *e);

/* listen.c */
void listen_start(struct edge *e);
void listen_stop(struct edge *e); /* also closes the socket */

/* address.c */
struct address *address_hold(struct edge *e, const char *text); /* NULL: out of memory */
void address_release(struct edge *e, struct address *a);        /* accepts NULL */

/* session.c */
struct session *session_open(struct edge *e, struct lws *wsi, enum wire_profile profile,
                             const char *address); /* NULL: out of memory */
void session_receive(struct session *s, struct slice piece);
void session_ask_reauth(struct session *s);
void session_pong(struct session *s, struct slice payload);
bool session_peer_closed(struct session *s, struct slice payload); /* true: it answers our close */
bool session_said_goodbye(const struct session *s);                /* the peer ended it, for good */
void session_gone(struct session *s);                              /* the socket is closed */
void session_close(struct session *s, unsigned code);              /* behind what is queued; nothing more follows */
void session_kill(struct session *s);                              /* at once */
void session_free(struct session *s);
void session_read(struct session *s, struct slice message, bool is_binary);

/* step.c */
void edge_step(struct edge *e, struct chat_event *ev);
void edge_depart(struct session *s); /* tells the core that it is gone, now or after the running step */
void edge_take_jobs(struct edge *e);
void edge_arm_deadline(struct edge *e);

/* queue.c */
size_t queue_waiting(const struct session *s);              /* bytes that the socket has not taken */
bool queue_json(struct session *s, struct slice json);      /* false: it was not sealed */
void queue_plain(struct session *s, struct slice text);     /* of the handshake: never sealed */
void queue_ping(struct session *s, const uint64_t *number); /* NULL: one without */
void queue_close(struct session *s, unsigned code);
void queue_drop(struct session *s); /* what is not written yet */
void queue_online(struct session *s);
void queue_presence(struct session *s);
void queue_mark(struct session *s); /* to be flushed at the end of this turn */
void queue_flush(struct edge *e);
void queue_unchoke(struct session *s); /* the socket has taken something */
void queue_try(struct session *s);     /* writes what the socket takes at once */
void queue_release(struct session *s); /* gives its buffer back */
void pool_trim(struct edge *e);
void pool_free(struct edge *e);

/* lag.c */
bool lag_takes(struct session *s, const struct chat_push *push); /* true: it is not to be queued */
bool lag_has_room(const struct session *s);                      /* for what a slow reader does without */
void lag_tell(struct session *s); /* when the queue is short again; not during a step, whose push it would overwrite */
void lag_forget(struct session *s);

/* pause.c */
void pause_look(struct edge *e);                                           /* after each step */
void pause_over(struct edge *e);                                           /* when the store has given something back */
bool pause_takes(struct session *s, struct slice message, bool is_binary); /* true: it is read later */
void pause_end(struct session *s);                                         /* it is read again, or gone */

/* life.c */
void life_enter(struct session *s, enum life life);
void life_leave(struct session *s);
void life_touch(struct session *s); /* a sign of life */
void life_tick(struct edge *e);     /* once a second */

/* news.c */
int news_init(struct edge *e); /* as uv_async_init */
MUST enum rc news_start(struct edge *e);
void news_stop(struct edge *e);
void news_job_made(struct edge *e, enum chat_job_kind kind);
void news_job_done(struct edge *e, enum chat_job_kind kind, enum rc rc);

/* drain.c */
void drain_begin(struct edge *e);
void drain_look(struct edge *e);

bool quota_take(struct quota *q); /* false: too many lines this second */

#endif
