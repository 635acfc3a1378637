/* Input lines: the words of tests/sim/README.md. */
#include "tests/sim/sim.h"

#include <stdlib.h>

#include "shared/base/base64.h"

/* --- words -------------------------------------------------------------------------------------------------------- */

static char *next_word(char **rest)
{
    char *word = *rest, *end = word;

    if (*word == 0)
        return word;
    while (*end && *end != ' ')
        end++;
    *rest = end;
    while (**rest == ' ')
        *(*rest)++ = 0;
    return word;
}

/* The value of `word` when it reads key=value; NULL: it does not. */
static char *value_of(const char *word, const char *key)
{
    size_t n = strlen(key);
    return strncmp(word, key, n) == 0 && word[n] == '=' ? (char *)(uintptr_t)(word + n + 1) : NULL;
}

static uint64_t number(const struct sim *s, const char *word)
{
    uint64_t n = 0;

    if (parse_u64(slice_text(word), UINT64_MAX, &n) != RC_OK)
        sim_stop(s, "'%s' is no number", word);
    return n;
}

static size_t count_or_all(const struct sim *s, const char *word)
{
    return *word ? (size_t)number(s, word) : SIZE_MAX;
}

static struct sim_conn *known_conn(struct sim *s, const char *name)
{
    struct sim_conn *conn = sim_conn(s, name);
    if (!conn)
        sim_stop(s, "there is no connection '%s'", name);
    return conn;
}

static struct name named(const struct sim *s, const char *text)
{
    struct name name;
    if (name_parse(slice_text(text), &name) != RC_OK)
        sim_stop(s, "'%s' is no name", text);
    return name;
}

/* alice, or alice#2: another principal of that name. */
static struct name principal(const struct sim *s, const char *word, uint8_t client_id[ID_LEN])
{
    char plain[SIM_INPUT_MAX];
    uint8_t digest[SHA256_LEN];

    assert_ok(sha256(slice_text(word), digest));
    memcpy(client_id, digest, ID_LEN);
    (void)snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(word, "#"), word);
    return named(s, plain);
}

/* --- the world ---------------------------------------------------------------------------------------------------- */

static void in_limit(struct sim *s, char *rest)
{
    struct chat_limits *l = &s->limits;
    const char *word, *v;

    while (*(word = next_word(&rest))) {
        if ((v = value_of(word, "rooms")))
            l->rooms = (uint32_t)number(s, v);
        else if ((v = value_of(word, "rooms_per_user")))
            l->rooms_per_user = (uint32_t)number(s, v);
        else if ((v = value_of(word, "members")))
            l->room_members = (uint32_t)number(s, v);
        else if ((v = value_of(word, "text")))
            l->text_bytes = (uint32_t)number(s, v);
        else if ((v = value_of(word, "data")))
            l->user_data_bytes = number(s, v);
        else if ((v = value_of(word, "search")))
            l->search_room_bytes = number(s, v);
        else if ((v = value_of(word, "search_all")))
            l->search_bytes = number(s, v);
        else if ((v = value_of(word, "keep")))
            l->keep_days = (uint32_t)number(s, v);
        else if ((v = value_of(word, "rate")))
            l->request_rate = (uint32_t)number(s, v);
        else if ((v = value_of(word, "burst")))
            l->request_burst = (uint32_t)number(s, v);
        else if ((v = value_of(word, "connections")))
            l->connections_per_user = (uint32_t)number(s, v);
        else
            sim_stop(s, "unknown limit '%s'", word);
    }
    s->chat->env.limits = *l;
}

static void in_time(struct sim *s, char *rest)
{
    if (*rest != '+')
        sim_stop(s, "time goes forward only: time +MS");
    sim_pass(s, (int64_t)number(s, rest + 1));
}

/* +S or -S: the wall clock is set. */
static void in_clock(struct sim *s, char *rest)
{
    if (*rest != '+' && *rest != '-')
        sim_stop(s, "the clock is set by so much: clock +S or clock -S");
    int64_t by_s = (int64_t)number(s, rest + 1);
    s->was_set_back = s->was_set_back || *rest == '-';
    s->wall_s += *rest == '+' ? by_s : -by_s;
}

/* l says what kind of login; the rest of it is filled in. */
static void login(struct sim *s, const char *conn_name, const char *who, struct chat_login l, int64_t end_s)
{
    struct sim_conn *conn = sim_conn(s, conn_name);

    if (!conn)
        conn = sim_connect(s, conn_name);
    l.ticket_end_s = sim_time_s(s) + end_s;
    l.authenticator_s = sim_time_s(s);
    l.client = principal(s, who, l.client_id);
    struct chat_event event = {.kind = CHAT_LOGIN, .conn = conn->core, .login = &l};
    conn->user = user_by_id(s->chat, l.client_id);
    if (l.extensions)
        sim_asked(conn, l.label);
    sim_step(s, &event);
    conn->user = conn->core->user;
}

/* TOKEN: of its connection all that was sent was processed; TOKEN-N: but for the last N; TOKEN=N: N records. */
static void resume(struct sim *s, char *how, uint8_t hash[SHA256_LEN], struct chat_login *l)
{
    char *minus = strchr(how, '-'), *is = strchr(how, '=');
    uint64_t n = minus ? number(s, minus + 1) : is ? number(s, is + 1) : 0;

    if (minus || is)
        *(minus ? minus : is) = 0;
    uint64_t records = sim_records(s, how);
    l->seen = is ? n : records > n ? records - n : 0;
    assert_ok(sha256(slice_text(how), hash));
    l->resumes = hash;
}

static void in_login(struct sim *s, char *rest)
{
    const char *conn = next_word(&rest), *who = next_word(&rest), *word, *token = "";
    char *v;
    struct chat_login l = {.label = slice_text("")};
    uint8_t hashes[2][SHA256_LEN];
    int64_t end_s = 36000;

    while (*(word = next_word(&rest))) {
        if (strcmp(word, "ext") == 0)
            l.extensions = true;
        else if (strcmp(word, "sealed") == 0)
            l.sealed = l.extensions = true;
        else if ((v = value_of(word, "end")))
            end_s = (int64_t)number(s, v);
        else if ((v = value_of(word, "epoch")))
            l.epoch = (uint32_t)number(s, v);
        else if ((v = value_of(word, "id")))
            l.label = slice_text(v);
        else if ((v = value_of(word, "resume")))
            resume(s, v, hashes[0], &l);
        else if ((v = value_of(word, "token"))) {
            assert_ok(sha256(slice_text(v), hashes[1]));
            l.token = hashes[1];
            token = v;
        } else
            sim_stop(s, "unknown word '%s'", word);
    }
    login(s, conn, who, l, end_s);
    (void)snprintf(sim_conn(s, conn)->token, SIM_WORD_MAX, "%s", token);
}

/* CONN END [EPOCH]: a newer ticket of the same client, which ends in END seconds. */
static void in_reauth(struct sim *s, char *rest)
{
    struct sim_conn *conn = known_conn(s, next_word(&rest));
    struct chat_login l = {
        .ticket_end_s = sim_time_s(s) + (int64_t)number(s, next_word(&rest)), .sealed = true, .label = slice_text("")};

    if (*rest)
        l.epoch = (uint32_t)number(s, next_word(&rest));
    struct chat_event event = {.kind = CHAT_REAUTH, .conn = conn->core, .login = &l};
    sim_step(s, &event);
}

/* NAME EPOCH: tickets of a lower epoch are worth nothing any more. */
static void in_cut_off(struct sim *s, char *rest)
{
    uint8_t id[ID_LEN];
    struct chat_event event = {.kind = CHAT_CUT_OFF, .client_id = id};

    (void)principal(s, next_word(&rest), id);
    event.epoch = (uint32_t)number(s, next_word(&rest));
    sim_step(s, &event);
}

static void in_kick(struct sim *s, char *rest)
{
    uint8_t id[ID_LEN];
    struct chat_event event = {.kind = CHAT_KICK, .client_id = id};

    (void)principal(s, next_word(&rest), id);
    sim_step(s, &event);
}

static void in_notice(struct sim *s, char *rest)
{
    struct chat_event event = {.kind = CHAT_NOTICE, .text = slice_text(rest)};
    sim_step(s, &event);
}

/* PREFIX N [subscribe]: so many users log in, unseen, each on a connection of his own name. */
static void in_crowd(struct sim *s, char *rest)
{
    const char *prefix = next_word(&rest);
    uint64_t n = number(s, next_word(&rest));
    const struct chat_request request = {.cmd = CMD_SUBSCRIBE, .presence = true};
    bool is_subscribed = strcmp(rest, "subscribe") == 0;
    char who[SIM_WORD_MAX];

    s->is_quiet = true;
    for (uint64_t i = 1; i <= n; i++) {
        (void)snprintf(who, sizeof(who), "%s%llu", prefix, (unsigned long long)i);
        login(s, who, who, (struct chat_login){.label = slice_text(""), .extensions = is_subscribed}, 36000);
        struct chat_event event = {.kind = CHAT_REQUEST, .conn = sim_conn(s, who)->core, .request = &request};
        if (is_subscribed)
            sim_step(s, &event);
    }
    sim_settle(s);
    s->is_quiet = false;
}

/* PREFIX N: they are all lost. */
static void in_drop_crowd(struct sim *s, char *rest)
{
    const char *prefix = next_word(&rest);
    uint64_t n = number(s, next_word(&rest));
    char who[SIM_WORD_MAX];

    s->is_quiet = true;
    for (uint64_t i = 1; i <= n; i++) {
        (void)snprintf(who, sizeof(who), "%s%llu", prefix, (unsigned long long)i);
        sim_drop(s, known_conn(s, who), false);
    }
    s->is_quiet = false;
}

static void in_leaving(struct sim *s, char *rest)
{
    struct chat_event event = {.kind = CHAT_LEAVING};

    (void)rest;
    sim_step(s, &event);
}

static void in_connect(struct sim *s, char *rest)
{
    (void)sim_connect(s, next_word(&rest));
}

static void in_drop(struct sim *s, char *rest)
{
    sim_drop(s, known_conn(s, next_word(&rest)), false);
}

static void in_bye(struct sim *s, char *rest)
{
    sim_drop(s, known_conn(s, next_word(&rest)), true);
}

static void in_lag(struct sim *s, char *rest)
{
    chat_left_out(known_conn(s, next_word(&rest))->core);
}

static void in_pong(struct sim *s, char *rest)
{
    struct chat_event event = {.kind = CHAT_PONG, .conn = known_conn(s, next_word(&rest))->core};

    event.ping = number(s, next_word(&rest));
    sim_step(s, &event);
}

/* CONN CODE [N]: the wire refuses N frames. */
static void in_refuse(struct sim *s, char *rest)
{
    struct sim_conn *conn = known_conn(s, next_word(&rest));
    const char *word = next_word(&rest);
    size_t n = *rest ? (size_t)number(s, next_word(&rest)) : 1;
    enum chat_code code = 0;

    while (code < CODE_COUNT && strcmp(chat_code_word(code), word) != 0)
        code++;
    if (code == CODE_COUNT)
        sim_stop(s, "unknown code '%s'", word);
    for (size_t i = 0; i < n; i++) {
        struct chat_request request = {0};
        struct chat_event event = {.kind = CHAT_REFUSED, .conn = conn->core, .code = code, .request = &request};
        bool is_quiet = s->is_quiet;
        s->is_quiet = i + 2 < n; /* of many, the last two are shown */
        sim_step(s, &event);
        s->is_quiet = is_quiet;
    }
}

/* It does not read any more, or again. */
static void in_choke(struct sim *s, char *rest)
{
    known_conn(s, next_word(&rest))->is_choked = true;
}

static void in_unchoke(struct sim *s, char *rest)
{
    struct sim_conn *conn = known_conn(s, next_word(&rest));

    conn->is_choked = false;
    conn->view.is_late = true;
    if (conn->wants_presence)
        sim_presence(s, conn);
}

static void in_commit(struct sim *s, char *rest)
{
    sim_store(s, count_or_all(s, next_word(&rest)));
    sim_answer(s);
}

static void in_store(struct sim *s, char *rest)
{
    sim_store(s, count_or_all(s, next_word(&rest)));
}

static void in_answer(struct sim *s, char *rest)
{
    (void)rest;
    sim_answer(s);
}

static void in_fail(struct sim *s, char *rest)
{
    sim_fail(s, count_or_all(s, next_word(&rest)));
}

static void in_restart(struct sim *s, char *rest)
{
    (void)rest;
    sim_restart(s);
}

static void in_auto(struct sim *s, char *rest)
{
    s->is_auto = strcmp(rest, "off") != 0;
}

static void in_jobs(struct sim *s, char *rest)
{
    const struct chat_job *job;

    (void)rest;
    STAILQ_FOREACH (job, &s->queued, link)
        sim_trace_job(s, job);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

/* Where the pieces of a request live while it is served. */
struct frame {
    struct chat_request r;
    struct buf secret, text;
    struct slice *users;
    char *names;
};

static void frame_done(struct frame *f)
{
    buf_done(&f->secret);
    buf_done(&f->text);
    free(f->users);
    free(f->names);
}

/* A text, or x*1000: a letter so many times. */
static void read_text(const struct sim *s, struct frame *f, const char *text)
{
    if (text[0] && text[1] == '*' && text[2]) {
        for (uint64_t n = number(s, text + 2); n > 0; n--)
            assert_ok(buf_byte(&f->text, (uint8_t)text[0]));
    } else {
        assert_ok(buf_text(&f->text, text));
    }
}

/* How a share is changed before it is presented. */
static void alter(const struct sim *s, struct buf *share, const char *how)
{
    AUTO(buf_done) struct buf old = buf_take(share);
    size_t dash = 0;

    while (old.p[dash] != '-')
        dash++;
    struct slice value = slice_of(old.p + dash + 1, old.n - dash - 1), index = slice_of(old.p, dash);
    if (strcmp(how, "+1") == 0) { /* another value */
        old.p[old.n - 1] = old.p[old.n - 1] == '0' ? '1' : '0';
        assert_ok(buf_add(share, buf_slice(&old)));
    } else if (strcmp(how, "upper") == 0) {
        for (size_t i = 0; i < old.n; i++)
            assert_ok(buf_byte(share, old.p[i] >= 'a' ? (uint8_t)(old.p[i] - 'a' + 'A') : old.p[i]));
    } else if (strcmp(how, "zero") == 0) {
        assert_ok(buf_printf(share, "%.*s-0%.*s", SLICE_FMT(index), SLICE_FMT(value)));
    } else if (strcmp(how, "lead") == 0) {
        assert_ok(buf_printf(share, "0%.*s", SLICE_FMT(buf_slice(&old))));
    } else if (strcmp(how, "blank") == 0) {
        assert_ok(buf_printf(share, "%.*s ", SLICE_FMT(buf_slice(&old))));
    } else if (strcmp(how, "cut") == 0) {
        assert_ok(buf_add(share, slice_of(old.p, old.n - 1)));
    } else if (*how >= '0' && *how <= '9') { /* another number */
        assert_ok(buf_printf(share, "%s-%.*s", how, SLICE_FMT(value)));
    } else {
        sim_stop(s, "unknown change '%s' of a share", how);
    }
}

/* Text as it stands, or $room.user: the share that this user was sent, changed when ":how" follows. */
static void read_secret(struct sim *s, struct frame *f, const char *text)
{
    f->r.has_secret = true;
    if (*text != '$') {
        assert_ok(buf_text(&f->secret, text));
        return;
    }
    size_t room = strcspn(text, "."), user = strcspn(text, ":");
    if (room == strlen(text))
        sim_stop(s, "a share is named $room.user");
    const struct sim_share *share =
        sim_share(s, slice_of(text + 1, room - 1), slice_of(text + room + 1, user - room - 1));
    if (!share)
        sim_stop(s, "nobody was sent the share %s", text);
    assert_ok(buf_add(&f->secret, buf_slice(&share->text)));
    if (text[user] == ':')
        alter(s, &f->secret, text + user + 1);
}

/* Names with commas between them; u*300 stands for u1,u2 and so on. */
static void read_users(struct sim *s, struct frame *f, const char *list)
{
    AUTO(buf_done) struct buf names = {0};
    char *copy = slice_dup(slice_text(list)), *save = copy, *one;
    size_t n = 0;

    assert_non_null(copy);
    while ((one = strsep(&save, ","))) {
        char *star = strchr(one, '*');
        uint64_t count = star ? number(s, star + 1) : 1;
        for (uint64_t i = 1; i <= count; i++, n++)
            assert_ok(star ? buf_printf(&names, "%.*s%llu\n", (int)(star - one), one, (unsigned long long)i)
                           : buf_printf(&names, "%s\n", one));
    }
    str_done(&copy);
    f->names = slice_dup(buf_slice(&names));
    f->users = calloc(n + 1, sizeof(*f->users));
    assert_true(f->names && f->users);
    save = f->names;
    for (size_t i = 0; i < n; i++)
        f->users[i] = slice_text(strsep(&save, "\n"));
    f->r.users = f->users;
    f->r.users_n = n;
}

static void read_option(struct sim *s, struct frame *f, const char *word)
{
    const char *v;

    if ((v = value_of(word, "threshold")))
        f->r.threshold = strcmp(v, "all") == 0 ? THRESHOLD_ALL : (uint32_t)number(s, v);
    else if ((v = value_of(word, "users")))
        read_users(s, f, v);
    else if ((v = value_of(word, "name"))) {
        f->r.has_name = true;
        f->r.name = named(s, v);
    } else if ((v = value_of(word, "hold")))
        f->r.hold = strcmp(v, "presenters") == 0 ? HOLD_PRESENTERS : HOLD_MEMBERS;
    else if ((v = value_of(word, "keep")))
        f->r.keep_days = (uint32_t)number(s, v);
    else if ((v = value_of(word, "secret")))
        read_secret(s, f, v);
    else if ((v = value_of(word, "before")))
        f->r.side = SIDE_BEFORE, f->r.seq = number(s, v);
    else if ((v = value_of(word, "after")))
        f->r.side = SIDE_AFTER, f->r.seq = number(s, v);
    else if ((v = value_of(word, "around")))
        f->r.side = SIDE_AROUND, f->r.seq = number(s, v);
    else if ((v = value_of(word, "seq")))
        f->r.seq = number(s, v);
    else if ((v = value_of(word, "limit")))
        f->r.limit = (uint32_t)number(s, v);
    else
        sim_stop(s, "unknown word '%s'", word);
}

/* WORD... [before=N] [limit=N]: the options come first. */
static void read_search(const struct sim *s, struct frame *f, char **rest)
{
    const char *v;

    f->r.seq = UINT64_MAX;
    f->r.limit = SEARCH_DEFAULT;
    while ((v = value_of(*rest, "before")) || (v = value_of(*rest, "limit"))) {
        bool is_limit = **rest == 'l';
        (void)next_word(rest);
        if (is_limit)
            f->r.limit = (uint32_t)number(s, v);
        else
            f->r.seq = number(s, v);
    }
    read_text(s, f, *rest);
}

/* CONN [id=L] [cid=C] COMMAND ... */
static void in_request(struct sim *s, const char *conn_name, char *rest)
{
    AUTO(frame_done)
    struct frame f = {
        .r = {.threshold = THRESHOLD_ALL, .limit = PAGE_DEFAULT}
    };
    struct sim_conn *conn = known_conn(s, conn_name);
    const char *word = next_word(&rest), *label = value_of(word, "id"), *cid;

    if (label) {
        f.r.label = slice_text(label);
        if (conn->core->extensions)
            sim_asked(conn, f.r.label);
        word = next_word(&rest);
    }
    if ((cid = value_of(word, "cid"))) {
        f.r.cid = slice_text(cid);
        word = next_word(&rest);
    }
    f.r.cmd = chat_command_of(slice_text(word));
    if (f.r.cmd == CMD_NONE)
        sim_stop(s, "unknown command '%s'", word);
    if (f.r.cmd == CMD_SAVE_DATA || f.r.cmd == CMD_GET_DATA) {
        f.r.key = slice_text(next_word(&rest));
        f.r.has_key = f.r.key.n > 0;
        read_text(s, &f, rest);
        f.r.data = buf_slice(&f.text);
    } else if (f.r.cmd == CMD_SUBSCRIBE) {
        f.r.presence = strcmp(rest, "off") != 0;
    } else if (f.r.cmd != CMD_ONLINE) {
        f.r.room = named(s, next_word(&rest));
        if (f.r.cmd == CMD_SEARCH)
            read_search(s, &f, &rest);
        else if (f.r.cmd == CMD_EDIT_MESSAGE || f.r.cmd == CMD_DELETE_MESSAGE)
            f.r.seq = number(s, next_word(&rest));
        if (f.r.cmd == CMD_SEARCH)
            ; /* it is read */
        else if (f.r.cmd == CMD_NEW_MESSAGE || f.r.cmd == CMD_EDIT_MESSAGE)
            read_text(s, &f, rest);
        else
            while (*(word = next_word(&rest)))
                read_option(s, &f, word);
    }
    f.r.text = buf_slice(&f.text);
    f.r.secret = buf_slice(&f.secret);
    struct chat_event event = {.kind = CHAT_REQUEST, .conn = conn->core, .request = &f.r};
    sim_step(s, &event);
}

/* N CONN ...: the request N times, unseen. */
static void in_many(struct sim *s, char *rest)
{
    uint64_t n = number(s, next_word(&rest));
    const char *conn = next_word(&rest);

    s->is_quiet = true;
    for (uint64_t i = 0; i < n; i++) {
        AUTO(str_done) char *copy = slice_dup(slice_text(rest));
        in_request(s, conn, copy);
        if (s->is_auto)
            sim_settle(s);
    }
    s->is_quiet = false;
}

static const struct {
    const char *word;
    void (*run)(struct sim *s, char *rest);
} inputs[] = {
    {"limit",      in_limit     },
    {"time",       in_time      },
    {"clock",      in_clock     },
    {"connect",    in_connect   },
    {"login",      in_login     },
    {"crowd",      in_crowd     },
    {"drop",       in_drop      },
    {"drop_crowd", in_drop_crowd},
    {"bye",        in_bye       },
    {"lag",        in_lag       },
    {"pong",       in_pong      },
    {"choke",      in_choke     },
    {"unchoke",    in_unchoke   },
    {"cut_off",    in_cut_off   },
    {"kick",       in_kick      },
    {"notice",     in_notice    },
    {"leaving",    in_leaving   },
    {"reauth",     in_reauth    },
    {"refuse",     in_refuse    },
    {"commit",     in_commit    },
    {"store",      in_store     },
    {"answer",     in_answer    },
    {"fail",       in_fail      },
    {"auto",       in_auto      },
    {"restart",    in_restart   },
    {"jobs",       in_jobs      },
    {"many",       in_many      },
};

void sim_input(struct sim *s, char *line)
{
    char *rest = line;
    const char *word = next_word(&rest);
    size_t i = 0;

    while (i < ARRAY_LEN(inputs) && strcmp(word, inputs[i].word) != 0)
        i++;
    if (i < ARRAY_LEN(inputs))
        inputs[i].run(s, rest);
    else
        in_request(s, word, rest);
    if (s->is_auto)
        sim_settle(s);
}
