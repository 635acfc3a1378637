/*
 * What the reader of a connection hears: records numbered as the edge does it, and each message of a room once and in
 * order, also over connections that were resumed.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

static void hear(struct sim_heard_list *list, const uint8_t room_uid[ID_LEN], uint64_t record, uint64_t seq)
{
    struct sim_heard *heard = calloc(1, sizeof(*heard));

    assert_non_null(heard);
    memcpy(heard->room_uid, room_uid, ID_LEN);
    heard->record = record;
    heard->seq = seq;
    STAILQ_INSERT_TAIL(list, heard, link);
}

static void forget(struct sim_heard_list *list)
{
    struct sim_heard *heard;

    while ((heard = STAILQ_FIRST(list))) {
        STAILQ_REMOVE_HEAD(list, link);
        free(heard);
    }
}

/* The last seq that was heard of the room; 0: none. */
static uint64_t last_seq(const struct sim_conn *conn, const struct chat_room *room)
{
    const struct sim_heard *heard;
    uint64_t seq = 0;

    STAILQ_FOREACH (heard, &conn->heard, link)
        if (memcmp(heard->room_uid, room->uid, ID_LEN) == 0)
            seq = heard->seq;
    return seq;
}

static void hear_push(const struct sim *s, struct sim_conn *conn, const struct chat_push *p)
{
    if (!conn->core->extensions)
        return; /* it is not told of revisions, and so not of their numbers */
    if (p->room && p->room->keep_days && s->was_set_back)
        return; /* what was shown of its history may end anywhere */
    if (p->kind == PUSH_NEW_MESSAGE || p->kind == PUSH_EDITED || p->kind == PUSH_DELETED) {
        uint64_t last = last_seq(conn, p->room), seq = p->messages[0].seq;
        if (last && seq != last + 1)
            sim_stop(s, "%s hears %llu of %s behind %llu", conn->name, (unsigned long long)seq, p->room->id.s,
                     (unsigned long long)last);
        hear(&conn->heard, p->room->uid, conn->records, seq);
    } else if (p->kind == PUSH_ROOM_MESSAGES && !p->is_page && p->messages_n) {
        hear(&conn->heard, p->room->uid, conn->records, p->messages[p->messages_n - 1].seq);
    } else if (p->kind == PUSH_LAGGED) { /* it reads the history from there */
        hear(&conn->heard, p->room->uid, conn->records, p->room->head);
    }
}

/* --- tokens ------------------------------------------------------------------------------------------------------- */

static bool is_hash_of(const uint8_t hash[SHA256_LEN], const char *token)
{
    uint8_t own[SHA256_LEN];

    assert_ok(sha256(slice_text(token), own));
    return memcmp(own, hash, SHA256_LEN) == 0;
}

/* Of the connection that was resumed so many records were processed: what they told was heard. */
static void go_on(const struct sim *s, struct sim_conn *conn, const struct chat_login *login)
{
    const struct sim_heard_list *list = NULL;
    const struct sim_heard *heard;
    const struct sim_token *token;
    const struct sim_conn *old;

    STAILQ_FOREACH (token, &s->tokens, link)
        if (is_hash_of(login->resumes, token->name))
            list = &token->heard;
    TAILQ_FOREACH (old, &s->conns, link)
        if (is_hash_of(login->resumes, old->token))
            list = &old->heard;
    if (!list)
        sim_stop(s, "%s resumes what there was not", conn->name);
    STAILQ_FOREACH (heard, list, link)
        if (heard->record < login->seen)
            hear(&conn->heard, heard->room_uid, 0, heard->seq);
}

void sim_keep_token(struct sim *s, struct sim_conn *conn)
{
    struct sim_token *token = calloc(1, sizeof(*token));

    assert_non_null(token);
    memcpy(token->name, conn->token, sizeof(token->name));
    token->records = conn->records;
    STAILQ_INIT(&token->heard);
    STAILQ_CONCAT(&token->heard, &conn->heard);
    STAILQ_INSERT_HEAD(&s->tokens, token, link);
}

void sim_forget_tokens(struct sim *s)
{
    struct sim_token *token;

    while ((token = STAILQ_FIRST(&s->tokens))) {
        STAILQ_REMOVE_HEAD(&s->tokens, link);
        forget(&token->heard);
        free(token);
    }
}

uint64_t sim_records(const struct sim *s, const char *name)
{
    const struct sim_conn *conn;
    const struct sim_token *token;

    TAILQ_FOREACH (conn, &s->conns, link)
        if (strcmp(conn->token, name) == 0)
            return conn->records;
    STAILQ_FOREACH (token, &s->tokens, link)
        if (strcmp(token->name, name) == 0)
            return token->records;
    return 0;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

/* One for whatever is sent. */
static void number_records(const struct sim *s, const struct chat_action *a)
{
    bool is_record = a->kind == ACT_SEND || a->kind == ACT_ONLINE || a->kind == ACT_REAUTH;

    for (size_t i = 0; i < a->conns_n && is_record; i++) {
        struct sim_conn *conn = a->conns[i]->edge;
        if (a->kind == ACT_SEND && a->push->number)
            chat_sent(a->conns[i], a->push->number, conn->records);
        if (a->kind == ACT_SEND)
            hear_push(s, conn, a->push);
        conn->records++;
    }
}

void sim_hear(struct sim *s, const struct chat_event *event, const struct chat_actions *actions)
{
    if (event->kind == CHAT_LOGIN && event->resumed == RESUMED)
        go_on(s, event->conn->edge, event->login);
    for (size_t i = 0; i < actions->n; i++)
        number_records(s, &actions->list[i]);
}
