/* Actions as lines of text. */
#include "tests/sim/sim.h"

#include <stdlib.h>

#include "shared/base/base64.h"

void sim_say(struct sim *s, const char *fmt, ...)
{
    char text[8192];
    va_list args;

    if (s->is_quiet)
        return;
    va_start(args, fmt);
    int n = vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof(text));
    assert_ok(buf_text(&s->out, text));
}

/* A long text of one letter is told as x*1000. */
static void say_text(struct sim *s, struct slice text)
{
    bool is_uniform = text.n > 20;

    for (size_t i = 1; i < text.n; i++)
        is_uniform = is_uniform && text.p[i] == text.p[0];
    if (is_uniform)
        sim_say(s, "%c*%zu", text.p[0], text.n);
    else
        sim_say(s, "%.*s", SLICE_FMT(text));
}

static int compare_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the connections that are shown, in order; false when there is none. */
static bool say_conns(struct sim *s, const char *word, struct chat_conn *const *conns, size_t n)
{
    const char **names = calloc(n + 1, sizeof(*names));
    size_t shown = 0;

    assert_non_null(names);
    for (size_t i = 0; i < n; i++) {
        const struct sim_conn *conn = conns[i]->edge;
        if (!conn->is_hidden)
            names[shown++] = conn->name;
    }
    qsort(names, shown, sizeof(*names), compare_text);
    for (size_t i = 0; i < shown; i++)
        sim_say(s, "%s%s", i == 0 ? word : ",", names[i]);
    free(names);
    return shown > 0;
}

/* --- what pushes say ---------------------------------------------------------------------------------------------- */

struct names {
    struct buf text;
    size_t n;
};

static void names_add(struct names *names, const char *name)
{
    if (names->n++ > 0)
        assert_ok(buf_byte(&names->text, ' '));
    assert_ok(buf_text(&names->text, name));
}

static void names_say(struct sim *s, const char *word, struct names *names)
{
    if (names->n > SIM_LIST_MAX)
        sim_say(s, " %s=(%zu)", word, names->n);
    else
        sim_say(s, " %s=[%.*s]", word, SLICE_FMT(buf_slice(&names->text)));
    buf_done(&names->text);
}

static bool add_online(void *ctx, const struct chat_user *user)
{
    names_add(ctx, user->name.s);
    return true;
}

static void say_online(struct sim *s)
{
    struct names names = {0};

    chat_each_online(s->chat, add_online, &names);
    names_say(s, "users", &names);
}

static void say_rooms(struct sim *s, const char *word, const struct chat_user *user, bool is_available)
{
    struct names names = {0};
    const struct chat_member *m;

    TAILQ_FOREACH (m, &user->rooms, of_user)
        if (!m->leaving && chat_room_is_available(m->room) == is_available) {
            names_add(&names, m->room->id.s);
            if (m->room->open && m->room->threshold)
                assert_ok(buf_text(&names.text, "(open)"));
        }
    names_say(s, word, &names);
}

static void say_members(struct sim *s, const struct chat_room *room)
{
    struct names names = {0};
    const struct chat_member *m;

    TAILQ_FOREACH (m, &room->members, of_room)
        if (!m->leaving)
            names_add(&names, m->user->name.s);
    names_say(s, "users", &names);
}

/* 1 alice: text; 2 alice (deleted 3); 3 alice deletes 2; 4 alice: text (edited 5); 5 alice edits 4: text */
static void say_message(struct sim *s, const struct chat_shown_message *m)
{
    sim_say(s, "%llu %.*s", (unsigned long long)m->seq, SLICE_FMT(m->from));
    if (m->target)
        sim_say(s, " %s %llu", m->is_deleted ? "deletes" : "edits", (unsigned long long)m->target);
    if (!m->is_deleted && !m->is_outdated) {
        sim_say(s, ": ");
        say_text(s, m->text);
    }
    if (m->rev && !m->target)
        sim_say(s, " (%s %llu)", m->is_deleted ? "deleted" : "edited", (unsigned long long)m->rev);
}

static void say_messages(struct sim *s, const struct chat_push *p)
{
    sim_say(s, " messages=");
    if (p->messages_n > SIM_LIST_MAX)
        sim_say(s, "(%zu: %llu..%llu)", p->messages_n, (unsigned long long)p->messages[0].seq,
                (unsigned long long)p->messages[p->messages_n - 1].seq);
    else
        sim_say(s, "[");
    for (size_t i = 0; i < p->messages_n && p->messages_n <= SIM_LIST_MAX; i++) {
        sim_say(s, "%s", i ? ", " : "");
        say_message(s, &p->messages[i]);
    }
    sim_say(s, "%s%s", p->messages_n > SIM_LIST_MAX ? "" : "]", p->more ? " more" : "");
    if (p->extensions && p->floor)
        sim_say(s, " floor=%llu", (unsigned long long)p->floor);
    if (p->is_page)
        sim_say(s, "%s head=%llu", p->more_after ? " more_after" : "", (unsigned long long)p->room->head);
}

/* The share goes to the user that the first connection is of: his device keeps it. */
static void keep_share(struct sim *s, const struct chat_room *room, const struct chat_user *user, struct slice text)
{
    struct sim_share *share = sim_share(s, name_slice(&room->id), name_slice(&user->name));

    if (!share) {
        share = calloc(1, sizeof(*share));
        assert_non_null(share);
        share->room = room->id;
        share->user = user->name;
        STAILQ_INSERT_TAIL(&s->shares, share, link);
    }
    bool is_same = slice_eq(buf_slice(&share->text), text);
    buf_reset(&share->text);
    assert_ok(buf_add(&share->text, text));
    sim_say(s, " secret=$%s.%s%s", room->id.s, user->name.s, is_same ? " (the same)" : "");
}

static void say_new_room(struct sim *s, const struct chat_action *a)
{
    const struct chat_push *p = a->push;
    const struct sim_conn *conn = a->conns[0]->edge;

    if (slice_eq(name_slice(&p->room->id), name_slice(&p->room->name)))
        sim_say(s, " %s", p->room->id.s);
    else
        sim_say(s, " %s \"%s\"", p->room->id.s, p->room->name.s);
    if (p->share.n)
        keep_share(s, p->room, conn->user, p->share);
    else
        sim_say(s, " secret=\"\"");
    sim_say(s, " threshold=%u", p->room->threshold);
    say_members(s, p->room);
    sim_say(s, " pending=%u", p->room->pending_n);
    if (p->extensions && p->room->keep_days)
        sim_say(s, " keep=%u", p->room->keep_days);
}

static void say_answer(struct sim *s, const struct chat_push *p)
{
    sim_say(s, " %s", chat_command_word(p->request));
    if (p->room)
        sim_say(s, " %s", p->room->id.s);
    if (p->messages_n)
        sim_say(s, " seq=%llu", (unsigned long long)p->messages[0].seq);
    if (p->messages_n && p->messages[0].target)
        sim_say(s, " target=%llu", (unsigned long long)p->messages[0].target);
    if (p->cid.n)
        sim_say(s, " cid=%.*s", SLICE_FMT(p->cid));
    if (p->dup)
        sim_say(s, " dup");
    if (!p->messages_n && p->room)
        sim_say(s, " %s presented=%u/%u", p->room->open ? "open" : "closed", p->room->presenters_n, p->room->threshold);
}

static void say_data(struct sim *s, const struct chat_push *p)
{
    sim_say(s, " key=%.*s", SLICE_FMT(p->key));
    for (size_t i = 0; i < p->pairs_n; i++) {
        sim_say(s, " %.*s:", SLICE_FMT(buf_slice(&p->pairs[i].key)));
        say_text(s, buf_slice(&p->pairs[i].value));
    }
    if (p->pairs_n == 0)
        sim_say(s, " none");
}

static void say_push(struct sim *s, const struct chat_action *a)
{
    static const char *const types[] = {
        [PUSH_HANDSHAKE] = "handshake",
        [PUSH_ONLINE] = "online",
        [PUSH_NEW_MESSAGE] = "new_message",
        [PUSH_EDITED] = "edited",
        [PUSH_DELETED] = "deleted",
        [PUSH_NEW_ROOM] = "new_room",
        [PUSH_GET_SECRET] = "get_secret",
        [PUSH_ROOM_MESSAGES] = "room_messages",
        [PUSH_FOUND] = "found",
        [PUSH_CLOSE_ROOM] = "close_room",
        [PUSH_DATA] = "data",
        [PUSH_ERROR] = "error",
        [PUSH_ACK] = "ack",
        [PUSH_REAUTH_OK] = "reauth_ok",
        [PUSH_NOTICE] = "notice",
        [PUSH_RESTART] = "restart",
        [PUSH_READ] = "read",
        [PUSH_TYPING] = "typing",
        [PUSH_LAGGED] = "lagged",
        [PUSH_PRESENCE] = "presence",
    };
    const struct chat_push *p = a->push;

    sim_say(s, " %s", types[p->kind]);
    bool is_log = p->kind == PUSH_NEW_MESSAGE || p->kind == PUSH_EDITED || p->kind == PUSH_DELETED;
    if (is_log || p->kind == PUSH_GET_SECRET || p->kind == PUSH_ROOM_MESSAGES || p->kind == PUSH_FOUND ||
        p->kind == PUSH_CLOSE_ROOM)
        sim_say(s, " %s", p->room->id.s);
    if (p->kind == PUSH_HANDSHAKE || p->kind == PUSH_ONLINE) {
        say_online(s);
        say_rooms(s, "rooms", p->user, true);
    }
    if (p->kind == PUSH_HANDSHAKE && p->resumed != RESUME_NOT_ASKED)
        sim_say(s, p->resumed == RESUMED ? " resumed" : " not resumed");
    if (p->kind == PUSH_ONLINE)
        say_rooms(s, "waiting", p->user, false);
    if (is_log || p->kind == PUSH_ROOM_MESSAGES || p->kind == PUSH_FOUND)
        say_messages(s, p);
    if (p->kind == PUSH_FOUND)
        sim_say(s, "%s from=%llu%s", p->more_after ? " more" : "", (unsigned long long)p->seq,
                p->is_complete ? " complete" : "");
    if (p->kind == PUSH_NEW_ROOM)
        say_new_room(s, a);
    if (p->kind == PUSH_GET_SECRET)
        sim_say(s, " asked_by=%.*s", SLICE_FMT(p->asked_by));
    if (p->kind == PUSH_CLOSE_ROOM)
        sim_say(s, " %s", p->reason);
    if (p->kind == PUSH_DATA)
        say_data(s, p);
    if (p->kind == PUSH_ERROR)
        sim_say(s, " %s %s", chat_command_word(p->request), chat_code_word(p->code));
    if (p->kind == PUSH_ERROR && p->detail.n)
        sim_say(s, " (%.*s)", SLICE_FMT(p->detail));
    if (p->kind == PUSH_ERROR && p->retry_after_ms)
        sim_say(s, " in %ums", p->retry_after_ms);
    if (p->kind == PUSH_REAUTH_OK)
        sim_say(s, " expires=+%lld", (long long)(p->expires_s - sim_time_s(s)));
    if (p->kind == PUSH_NOTICE)
        sim_say(s, " %.*s", SLICE_FMT(p->text));
    if (p->kind == PUSH_ACK)
        say_answer(s, p);
    if (p->kind == PUSH_LAGGED)
        sim_say(s, " %s from=%llu", p->room->id.s, (unsigned long long)p->seq);
    if (p->kind == PUSH_READ)
        sim_say(s, " %s seq=%llu", p->room->id.s, (unsigned long long)p->seq);
    if (p->kind == PUSH_TYPING)
        sim_say(s, " %s %.*s", p->room->id.s, SLICE_FMT(p->asked_by));
    if (p->kind == PUSH_RESTART) /* the number itself is random */
        sim_say(s, " within %llu", 1000 + 2 * (unsigned long long)s->chat->authed_n);
    if (p->kind == PUSH_PRESENCE)
        sim_say_presence(s, p);
    if (p->label.n)
        sim_say(s, " id=%.*s", SLICE_FMT(p->label));
}

/* --- jobs --------------------------------------------------------------------------------------------------------- */

static const char *job_user(const struct sim *s, const struct chat_job *job)
{
    const struct chat_user *user = user_by_id(s->chat, job->who);
    return user ? user->name.s : "?";
}

void sim_trace_job(struct sim *s, const struct chat_job *job)
{
    static const char *const words[] = {
        [JOB_ADD_USER] = "add_user",
        [JOB_ADD_ROOM] = "add_room",
        [JOB_ADD_MESSAGE] = "add_message",
        [JOB_LEAVE] = "leave",
        [JOB_DELETE_ROOM] = "delete_room",
        [JOB_DROP_SHARE] = "drop_share",
        [JOB_SAVE_DATA] = "save_data",
        [JOB_LOAD_DATA] = "load_data",
        [JOB_HEARD] = "heard",
        [JOB_RAISE_EPOCH] = "raise_epoch",
        [JOB_LOAD_SHARES] = "load_shares",
        [JOB_LOAD_HISTORY] = "load_history",
        [JOB_FIND_MESSAGE] = "find_message",
        [JOB_MARK_READ] = "mark_read",
        [JOB_REVISE] = "revise",
        [JOB_EXPIRE] = "expire",
        [JOB_LOAD_MESSAGES] = "load_messages",
    };
    const struct chat_room *room = room_by_uid(s->chat, job->room_uid);

    sim_say(s, "    job %s", words[job->kind]);
    if (job->kind == JOB_ADD_USER || job->kind == JOB_LEAVE || job->kind == JOB_DROP_SHARE ||
        job->kind == JOB_LOAD_SHARES || job->kind == JOB_SAVE_DATA || job->kind == JOB_LOAD_DATA)
        sim_say(s, " %s", job_user(s, job));
    if (room)
        sim_say(s, " %s", room->id.s);
    if (job->kind == JOB_ADD_MESSAGE || job->kind == JOB_REVISE)
        sim_say(s, " seq=%llu", (unsigned long long)job->message.seq);
    if (job->kind == JOB_SAVE_DATA || job->kind == JOB_LOAD_DATA)
        sim_say(s, " %.*s", SLICE_FMT(buf_slice(&job->key)));
    sim_say(s, "\n");
}

/* --- actions ------------------------------------------------------------------------------------------------------ */

/* `online` is computed when it is sent: at the end of the step, as the edge does. */
static void trace_online(struct sim *s, const struct chat_action *a)
{
    struct chat_push push;

    chat_online_push(s->chat, a->conns[0], sim_time_s(s), &push);
    if (!push.user || !say_conns(s, "    online ", a->conns, 1))
        return;
    say_online(s);
    say_rooms(s, "rooms", push.user, true);
    say_rooms(s, "waiting", push.user, false);
    sim_say(s, "\n");
}

static void trace_one(struct sim *s, const struct chat_action *a)
{
    switch (a->kind) {
    case ACT_SEND:
        if (a->push->kind == PUSH_PRESENCE)
            sim_see(s, a->conns[0]->edge, a->push);
        if (!say_conns(s, "    send ", a->conns, a->conns_n)) {
            if (a->push->kind == PUSH_NEW_ROOM && a->push->share.n) {
                s->is_quiet = true;
                say_new_room(s, a); /* a hidden one keeps his share as well */
                s->is_quiet = false;
            }
            return;
        }
        say_push(s, a);
        break;
    case ACT_ONLINE:
        trace_online(s, a);
        return;
    case ACT_PRESENCE:
        for (size_t i = 0; i < a->conns_n; i++)
            sim_presence(s, a->conns[i]->edge);
        return;
    case ACT_REAUTH:
        if (!say_conns(s, "    reauth ", a->conns, 1))
            return;
        break;
    case ACT_PING:
        if (!say_conns(s, "    ping ", a->conns, 1))
            return;
        sim_say(s, " %llu", (unsigned long long)a->ping);
        break;
    case ACT_CLOSE:
        if (!say_conns(s, "    close ", a->conns, 1))
            return;
        sim_say(s, " %d", (int)a->close_code);
        break;
    case ACT_JOB:
        if (!s->is_auto)
            sim_trace_job(s, a->job);
        return;
    }
    sim_say(s, "\n");
}

void sim_trace(struct sim *s, const struct chat_actions *actions)
{
    for (size_t i = 0; i < actions->n; i++)
        trace_one(s, &actions->list[i]);
}
