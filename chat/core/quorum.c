/*
 * Sealed rooms: the secret is split when the room is made and rebuilt when enough members present their shares.
 *
 * Of a room's secret the server keeps commitments only. Shares that were presented live in memory while they wait for
 * the quorum; the key lives while the room is open; both are wiped when the room closes.
 * Source: docs/PROTOCOL.md, 5.4.
 */
#include "chat/core/internal.h"

#include <stdlib.h>
#include <string.h>

#define SECRET_LEN 32 /* bytes of an element of 2^255-19 */

struct secret {
    uint8_t bytes[SECRET_LEN];
};

static void secret_done(struct secret *s)
{
    wipe(s, sizeof(*s));
}

/* SHA-256("kerb1 share" | room uid | epoch u32be | LP(share text)) */
static void commit(const uint8_t uid[ID_LEN], uint32_t epoch, struct slice share, uint8_t out[SHA256_LEN])
{
    AUTO(buf_done) struct buf b = {0};
    must(buf_text(&b, "kerb1 share"));
    must(buf_add(&b, slice_of(uid, ID_LEN)));
    must(buf_u32be(&b, epoch));
    must(buf_lp(&b, share));
    must(sha256(buf_slice(&b), out));
}

/* HKDF(S, salt "", info = what | room uid | epoch u32be) */
static void derive(const char *what, const struct secret *secret, const uint8_t uid[ID_LEN], uint32_t epoch,
                   uint8_t out[32])
{
    AUTO(buf_done) struct buf info = {0};
    must(buf_text(&info, what));
    must(buf_add(&info, slice_of(uid, ID_LEN)));
    must(buf_u32be(&info, epoch));
    must(hkdf_sha256(SLICE(secret->bytes), slice_of(NULL, 0), buf_slice(&info), out, 32));
}

void quorum_split(struct chat *chat, struct chat_job *job)
{
    AUTO(secret_done) struct secret secret;
    struct shamir_share *shares = calloc(job->members_n, sizeof(*shares));

    if (!shares)
        abort();
    must(shamir_random(chat->field, secret.bytes));
    must(shamir_split(chat->field, secret.bytes, job->threshold, (unsigned)job->members_n, shares));
    for (size_t i = 0; i < job->members_n; i++) {
        struct chat_job_member *m = &job->members[i];
        must(shamir_share_text(chat->field, &shares[i], &m->share));
        commit(job->room_uid, job->epoch, buf_slice(&m->share), m->commitment);
        shamir_share_done(&shares[i]);
    }
    free(shares);
    derive("kerb1 check", &secret, job->room_uid, job->epoch, job->key_check);
}

/* --- presenters --- */

static void presenter_clear(struct chat_member *m)
{
    if (m->presenter)
        m->room->presenters_n--;
    m->presenter = false;
    shamir_share_done(&m->share);
}

static bool has_quorum(const struct chat_room *room)
{
    return (room->hold == HOLD_PRESENTERS ? room->presenters_n : room->online_n) >= room->threshold;
}

static void close_without_quorum(struct chat *chat, struct chat_room *room)
{
    if (room->open && room->threshold && !has_quorum(room))
        room_close(chat, room, "quorum_lost");
}

void room_set_open(struct chat *chat, struct chat_room *room, bool is_open)
{
    if (is_open != room->open)
        chat->open_n += is_open ? 1 : (size_t)-1;
    room->open = is_open;
}

void room_close(struct chat *chat, struct chat_room *room, const char *reason)
{
    struct chat_member *m;

    room_set_open(chat, room, false);
    envelope_key_done(&room->key);
    TAILQ_FOREACH (m, &room->members, of_room)
        presenter_clear(m);
    missed_wipe(chat, &room->missed);
    struct chat_push *push = push_new(chat, PUSH_CLOSE_ROOM);
    push->room = room;
    push->reason = reason;
    push->extensions = true;
    missed_keep(chat, &room->missed, push);
    act_send_extended(chat, room, push, NULL);
    act_send_plain(chat, room, push_plain(chat, push), NULL);
    enum chat_code code = strcmp(reason, "deleted") == 0 ? CODE_NOT_FOUND : CODE_ROOM_CLOSED;
    refuse_waiting(chat, room, code);
    search_end(chat, room, code);
    presence_changed(chat);
}

void quorum_arrived(struct chat_user *user)
{
    struct chat_member *m;

    TAILQ_FOREACH (m, &user->rooms, of_user)
        m->room->online_n++;
}

void quorum_departed(struct chat *chat, struct chat_user *user)
{
    struct chat_member *m;

    TAILQ_FOREACH (m, &user->rooms, of_user) {
        m->room->online_n--;
        presenter_clear(m);
        close_without_quorum(chat, m->room);
    }
}

void quorum_removed(struct chat *chat, struct chat_member *member)
{
    presenter_clear(member);
    close_without_quorum(chat, member->room);
}

/* --- presenting a share, opening --- */

/* Only the owner's own share, in its one spelling, meets his commitment. */
static bool is_share_of(const struct chat *chat, const struct chat_member *m, struct slice text,
                        struct shamir_share *ret)
{
    uint8_t commitment[SHA256_LEN];

    if (text.n > SHAMIR_TEXT_MAX || shamir_share_parse(chat->field, text, ret) != RC_OK)
        return false;
    commit(m->room->uid, m->room->epoch, text, commitment);
    return ret->index == m->number && ct_equal(commitment, m->commitment, SHA256_LEN);
}

/* Rebuilds the secret from the first `threshold` shares that wait in the room; false when it is not the room's. */
static bool rebuild(const struct chat *chat, const struct chat_room *room, struct secret *ret)
{
    struct shamir_share *shares = calloc(room->threshold, sizeof(*shares));
    const struct chat_member *m;
    uint8_t check[SHA256_LEN];
    size_t n = 0;

    if (!shares)
        abort();
    TAILQ_FOREACH (m, &room->members, of_room)
        if (m->presenter && n < room->threshold)
            shares[n++] = m->share;
    enum rc rc = shamir_combine(chat->field, shares, n, ret->bytes);
    wipe(shares, room->threshold * sizeof(*shares));
    free(shares);
    if (rc != RC_OK)
        return false;
    derive("kerb1 check", ret, room->uid, room->epoch, check);
    return ct_equal(check, room->key_check, SHA256_LEN);
}

static bool room_open(struct chat *chat, struct chat_room *room)
{
    AUTO(secret_done) struct secret secret = {0};
    AUTO(key_done) struct key key = {.etype = ETYPE_AES128_CBC_HS256, .n = 32};
    struct chat_member *m;

    if (!rebuild(chat, room, &secret))
        return false;
    derive("kerb1 room", &secret, room->uid, room->epoch, key.bytes);
    must(envelope_derive(&key, LABEL_MESSAGE, &room->key));
    room_set_open(chat, room, true);
    room->opening++;
    TAILQ_FOREACH (m, &room->members, of_room)
        shamir_share_done(&m->share); /* the key is enough from now on */
    presence_changed(chat);
    return true;
}

/* Counts a right share; false: it is wrong, and the caller was told. */
static bool present(const struct call *c, struct chat_member *m)
{
    struct shamir_share share = {0};
    bool right = is_share_of(c->chat, m, c->req->secret, &share);

    if (!right) {
        call_error(c, CODE_SHARE_INVALID);
    } else if (!m->presenter) {
        m->presenter = true;
        m->room->presenters_n++;
        if (!m->room->open)
            m->share = share;
    }
    shamir_share_done(&share);
    return right;
}

/* Opens the room if enough shares wait. Says so when they do not fit together: the room's data was tampered with. */
static bool try_open(const struct call *c, struct chat_room *room)
{
    if (room->presenters_n < room->threshold)
        return false;
    if (room_open(c->chat, room))
        return true;
    call_error(c, CODE_INTERNAL);
    return false;
}

static void ask_for_secrets(const struct call *c, struct chat_room *room)
{
    struct chat_push *push = push_new(c->chat, PUSH_GET_SECRET);
    const struct chat_member *m;

    push->room = room;
    push->asked_by = name_slice(&c->user->name);
    push->extensions = true;
    missed_keep(c->chat, &room->missed, push);
    const struct chat_push *plain = push_plain(c->chat, push);
    TAILQ_FOREACH (m, &room->members, of_room)
        if (m->user != c->user && !m->presenter && !m->leaving && user_is_online(m->user))
            act_send_user(c->chat, m->user, push, plain);
}

void cmd_go_room(const struct call *c)
{
    struct chat_member *m = call_member(c);
    if (!m)
        return;
    struct chat_room *room = m->room;
    if (room->threshold && c->req->has_secret && !present(c, m))
        return;
    if (room->open) {
        history_ask(c->chat, room, c->conn, c->req->label, false);
    } else if (room->presenters_n >= room->threshold) {
        if (try_open(c, room))
            history_ask(c->chat, room, c->conn, c->req->label, true);
    } else {
        ask_for_secrets(c, room);
        call_ack(c, room);
    }
}

void cmd_secret(const struct call *c)
{
    struct chat_member *m = call_member(c);
    if (!m)
        return;
    struct chat_room *room = m->room;
    if (room->threshold && !present(c, m))
        return;
    if (!room->open && room->presenters_n >= room->threshold) {
        if (!try_open(c, room))
            return;
        history_ask(c->chat, room, NULL, slice_of(NULL, 0), true);
    }
    call_ack(c, room);
}
