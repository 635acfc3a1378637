/*
 * Looking for words in an open room.
 *
 * Texts lie sealed in the store, so the index of their words lives here: made at the first search, from the newest page
 * to the oldest, one small job at a time; kept up to date by what is written meanwhile; wiped when the room closes. Who
 * searches while it is made waits. Few rooms' pages are taken in at a time, and who waited is answered one by one, each
 * paying for what his words cost: so nobody's searching holds up what others say. It is bounded for each room, by
 * leaving out the oldest, and in all, by giving up the index that was not used for longest. What is found is read from
 * the store like any page.
 */
#include <stdlib.h>

#include "chat/core/index.h"
#include "chat/core/internal.h"

struct chat_search {
    TAILQ_ENTRY(chat_search) in_use, in_to_build;
    struct chat_room *room;
    uint64_t serial; /* of its building jobs */
    struct word_index index;
    size_t counted;            /* bytes of it in chat->search_bytes */
    uint64_t from_seq;         /* it holds all from this number on */
    uint64_t last;             /* the highest number that it was given, or that the room had */
    uint64_t floor;            /* up to this one all has expired */
    bool awaits_page;          /* it is in the list of those */
    bool is_built;             /* else a job is under way, or it awaits one */
    bool is_complete;          /* nothing was left out */
    struct chat_job_list asks; /* that wait for it */
    size_t asks_n;
};

static void refuse(struct chat *chat, const struct chat_job *job, enum chat_code code)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);

    if (code == CODE_RATE_LIMITED)
        say_rate_limited(chat, conn, CMD_SEARCH, buf_slice(&job->label), CHAT_ASK_AGAIN_MS);
    else
        say_error(chat, conn, CMD_SEARCH, buf_slice(&job->label), code, slice_of(NULL, 0));
}

static struct chat_job *next_ask(struct chat_search *s)
{
    struct chat_job *job = STAILQ_FIRST(&s->asks);

    if (job) {
        STAILQ_REMOVE_HEAD(&s->asks, link);
        s->asks_n--;
    }
    return job;
}

void search_end(struct chat *chat, struct chat_room *room, enum chat_code code)
{
    struct chat_search *s = room->search;
    struct chat_job *job;

    if (!s)
        return;
    while ((job = next_ask(s))) {
        refuse(chat, job, code);
        chat_job_free(job);
    }
    room->search = NULL;
    TAILQ_REMOVE(&chat->searches, s, in_use);
    if (s->awaits_page)
        TAILQ_REMOVE(&chat->to_build, s, in_to_build);
    chat->search_bytes -= s->counted;
    index_done(&s->index);
    free(s);
}

/* --- the bounds --- */

static void count(struct chat *chat, struct chat_search *s)
{
    chat->search_bytes += s->index.bytes - s->counted;
    s->counted = s->index.bytes;
}

/* The oldest of it go, be it all that there is; what is written from then on is in it again. */
static void leave_out_oldest(struct chat *chat, struct chat_search *s)
{
    uint64_t next = index_drop_oldest(&s->index);

    if (next > s->last)
        next = s->last + 1;
    if (next > s->from_seq)
        s->from_seq = next;
    s->is_built = true;
    s->is_complete = false;
    count(chat, s);
}

/* The other one that was not used for longest gives way; when there is none, its own oldest do. */
static void keep_bounds(struct chat *chat, struct chat_search *s)
{
    count(chat, s);
    while (s->index.bytes > chat->env.limits.search_room_bytes)
        leave_out_oldest(chat, s);
    while (chat->search_bytes > chat->env.limits.search_bytes) {
        const struct chat_search *oldest = TAILQ_FIRST(&chat->searches);
        if (oldest != s)
            search_end(chat, oldest->room, CODE_RATE_LIMITED);
        else if (TAILQ_NEXT(s, in_use))
            search_end(chat, TAILQ_NEXT(s, in_use)->room, CODE_RATE_LIMITED);
        else
            leave_out_oldest(chat, s);
    }
}

/* --- what is written meanwhile --- */

/* Splitting a long text costs far more than storing it. */
static void owe_words(struct chat *chat, const struct chat_job *job)
{
    struct chat_user *author = user_by_id(chat, job->who);

    if (author)
        flow_owe_user(chat, author, (job->was.n + job->text.n) / CHAT_SEARCH_TEXT);
}

void search_added(struct chat *chat, struct chat_room *room, const struct chat_job *job)
{
    struct chat_search *s = room->search;

    if (!s || job->message.seq < s->from_seq)
        return;
    s->last = job->message.seq;
    index_add(&s->index, job->message.seq, buf_slice(&job->text));
    owe_words(chat, job);
    keep_bounds(chat, s);
}

/* One that is not built yet will be built with what it says then. */
void search_revised(struct chat *chat, struct chat_room *room, const struct chat_job *job)
{
    struct chat_search *s = room->search;
    uint64_t seq = job->message.target;

    if (!s || seq < s->from_seq)
        return;
    index_remove(&s->index, seq, buf_slice(&job->was));
    index_add(&s->index, seq, buf_slice(&job->text));
    owe_words(chat, job);
    keep_bounds(chat, s);
}

void search_expired(struct chat *chat, struct chat_room *room, uint64_t floor)
{
    struct chat_search *s = room->search;

    if (!s || floor <= s->floor)
        return;
    s->floor = floor;
    index_drop_up_to(&s->index, floor);
    count(chat, s);
}

/* --- it is asked --- */

static void say_found(struct chat *chat, const struct chat_room *room, const struct chat_job *job,
                      const struct chat_shown_message *messages, size_t messages_n)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);
    struct chat_push *push = push_new(chat, PUSH_FOUND);

    push->label = arena_copy(&chat->arena, buf_slice(&job->label));
    push->request = CMD_SEARCH;
    push->room = room;
    push->extensions = true;
    push->messages = messages;
    push->messages_n = messages_n;
    push->more_after = job->more_after;
    push->seq = job->from_seq > job->floor ? job->from_seq : job->floor + 1;
    push->is_complete = job->is_complete;
    history_owe(chat, conn, messages, messages_n);
    act_send(chat, conn, push);
}

static void look(struct chat *chat, struct chat_search *s, struct chat_job *job)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);
    struct word_query query;
    struct index_look seen;
    uint64_t seqs[SEARCH_MAX];

    TAILQ_REMOVE(&chat->searches, s, in_use);
    TAILQ_INSERT_TAIL(&chat->searches, s, in_use);
    (void)word_query_read(buf_slice(&job->text), &query); /* it has words: cmd_search has looked */
    size_t n = index_find(&s->index, &query, s->floor, job->from_seq, seqs, job->rows_max, &seen);
    if (conn)
        flow_owe(chat, conn, seen.words_n / CHAT_SEARCH_WORDS);
    job->more_after = seen.has_more;
    for (size_t i = 0; i < n; i++)
        must(chat_job_add_seq(job, seqs[i]) ? RC_OK : RC_NO_MEMORY);
    job->from_seq = s->from_seq;
    job->expired_s = room_expired_s(chat, s->room);
    job->is_complete = s->is_complete;
    wipe(&query, sizeof query);
    act_job(chat, job);
}

/* The next one is answered when this one was: search_loaded. */
static void answer_one(struct chat *chat, struct chat_search *s)
{
    struct chat_job *job = s->is_built ? next_ask(s) : NULL;

    if (job)
        look(chat, s, job);
}

/* The page before what it holds. */
static void ask_page(struct chat *chat, const struct chat_search *s)
{
    struct chat_job *job = room_job(s->room, JOB_LOAD_HISTORY);

    job->side = SIDE_BEFORE;
    job->from_seq = s->from_seq;
    job->rows_max = CHAT_SEARCH_PAGE_ROWS;
    job->bytes_max = CHAT_SEARCH_PAGE_BYTES;
    job->expired_s = room_expired_s(chat, s->room);
    job->search = s->serial;
    chat->building_n++;
    act_job(chat, job);
}

static void build_some(struct chat *chat)
{
    struct chat_search *s;

    while (chat->building_n < CHAT_SEARCH_PAGES && (s = TAILQ_FIRST(&chat->to_build))) {
        TAILQ_REMOVE(&chat->to_build, s, in_to_build);
        s->awaits_page = false;
        ask_page(chat, s);
    }
}

/* Behind those who wait already: rooms take turns. */
static void build(struct chat *chat, struct chat_search *s)
{
    s->awaits_page = true;
    TAILQ_INSERT_TAIL(&chat->to_build, s, in_to_build);
    build_some(chat);
}

static struct chat_search *begin(struct chat *chat, struct chat_room *room)
{
    struct chat_search *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    s->room = room;
    s->serial = ++chat->serials;
    s->last = room->head;
    s->from_seq = room->head + 1;
    index_init(&s->index);
    STAILQ_INIT(&s->asks);
    TAILQ_INSERT_TAIL(&chat->searches, s, in_use);
    room->search = s;
    build(chat, s);
    return s;
}

void cmd_search(const struct call *c)
{
    const struct chat_member *m = call_member_of_open(c);
    struct word_query query;

    if (!m)
        return;
    if (!word_query_read(c->req->text, &query)) {
        call_error(c, CODE_MALFORMED);
        return;
    }
    wipe(&query, sizeof query);
    struct chat_search *s = m->room->search ? m->room->search : begin(c->chat, m->room);
    struct chat_job *job = room_job(m->room, JOB_LOAD_MESSAGES);
    job->conn = c->conn->serial;
    must(buf_add(&job->label, c->req->label));
    must(buf_add(&job->text, c->req->text));
    job->from_seq = c->req->seq;
    job->rows_max = c->req->limit;
    if (s->is_built && s->asks_n == 0) {
        look(c->chat, s, job);
    } else if (s->asks_n < CHAT_SEARCH_ASKS) {
        STAILQ_INSERT_TAIL(&s->asks, job, link);
        s->asks_n++;
    } else {
        refuse(c->chat, job, CODE_RATE_LIMITED);
        chat_job_free(job);
    }
}

/* --- back from the store --- */

static void add_page(struct chat *chat, struct chat_search *s, const struct chat_job *job)
{
    AUTO(buf_done) struct buf text = {0};
    struct chat_shown_message message;

    for (size_t i = 0; i < job->rows_n; i++)
        if (!job->rows[i].target && history_open_row(chat, s->room, &job->rows[i], &text, &message) == RC_OK)
            index_add(&s->index, message.seq, message.text);
    s->from_seq = job->rows_n ? job->rows[0].seq : job->floor + 1;
    if (!job->more_before) {
        s->from_seq = job->floor + 1;
        s->is_built = s->is_complete = true;
    }
}

static void take_page(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);
    struct chat_search *s = room ? room->search : NULL;

    if (!s || s->serial != job->search)
        return;
    if (job->rc != RC_OK && !s->is_built) {
        search_end(chat, room, code_of_failure(job->rc));
        return;
    }
    if (!s->is_built) { /* else it is full of what was written meanwhile */
        add_page(chat, s, job);
        keep_bounds(chat, s);
    }
    if (s->is_built)
        answer_one(chat, s);
    else
        build(chat, s);
}

void search_built(struct chat *chat, struct chat_job *job)
{
    chat->building_n--;
    take_page(chat, job);
    build_some(chat);
}

/* Why what was found is not shown; CODE_COUNT: it is. */
static enum chat_code refusal(const struct chat *chat, const struct chat_room *room, const struct chat_job *job)
{
    const struct chat_conn *conn = conn_by_serial(chat, job->conn);

    if (!room || room->state != ROOM_LIVE || !conn || !room_member(room, conn->user))
        return CODE_NOT_FOUND;
    if (job->rc != RC_OK)
        return code_of_failure(job->rc);
    return room->open && room->opening == job->opening ? CODE_COUNT : CODE_ROOM_CLOSED;
}

/* What was deleted since it was found is not there any more. */
static size_t leave_out_deleted(struct chat_shown_message *messages, size_t n)
{
    size_t left = 0;

    for (size_t i = 0; i < n; i++)
        if (!messages[i].is_deleted)
            messages[left++] = messages[i];
    return left;
}

static void take_found(struct chat *chat, struct chat_room *room, struct chat_job *job)
{
    enum chat_code code = refusal(chat, room, job);
    size_t n = 0;

    if (code != CODE_COUNT) {
        refuse(chat, job, code);
        return;
    }
    search_expired(chat, room, job->floor);
    if (job->seqs_n && job->seqs[job->seqs_n - 1] <= job->floor)
        job->more_after = false; /* what is further has expired as well */
    struct chat_shown_message *messages = history_open_rows(chat, room, job, &n);
    say_found(chat, room, job, messages, leave_out_deleted(messages, n));
}

void search_loaded(struct chat *chat, struct chat_job *job)
{
    struct chat_room *room = job_room(chat, job);

    take_found(chat, room, job);
    if (room && room->search)
        answer_one(chat, room->search);
}
