/*
 * Random walks through the chat's core: people come, go, are thrown out, make rooms, present shares, write and leave,
 * with what clients of several kinds send, right and wrong; jobs come back late, in pieces and failed; clocks jump; the
 * daemon dies. After every step what must be true is checked (tests/sim: check.c, hear.c, stored.c, jobs.c, replies.c).
 *
 *   chat_walk_test                    the same few walks every time
 *   chat_walk_test SEED               one walk, which is shown
 *   chat_walk_test --for SECONDS      others, as long as that: tests/sim/long
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

#define WALKS       12
#define STEPS       500
#define PEOPLE      5
#define ROOMS       4
#define CIDS        6
#define CONNECTIONS 8
#define START_MAX   (SIM_WORD_MAX + 32)
#define KIND_MAX    96

struct walk {
    struct sim sim;
    uint64_t seed, labels, texts;
    unsigned epochs[PEOPLE];           /* of the tickets that are good */
    unsigned tokens[PEOPLE], tokens_n; /* of each his last one */
    bool is_shown;
    char input[SIM_INPUT_MAX];
};

/* A number below n; xorshift64*. */
static unsigned pick(struct walk *w, unsigned n)
{
    w->seed ^= w->seed >> 12;
    w->seed ^= w->seed << 25;
    w->seed ^= w->seed >> 27;
    return (unsigned)((w->seed * 0x2545f4914f6cdd1dULL >> 33) % n);
}

static void PRINTF_LIKE(2, 3) input(struct walk *w, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(w->input, sizeof(w->input), fmt, args);
    va_end(args);
    if (w->is_shown)
        print_message("%s\n", w->input);
    w->sim.line++;
    sim_input(&w->sim, w->input);
    if (w->is_shown)
        print_message("%.*s", SLICE_FMT(buf_slice(&w->sim.out)));
    buf_reset(&w->sim.out);
}

/* --- coming and going --------------------------------------------------------------------------------------------- */

/* A sealed connection, which often resumes an earlier one: mostly his own, that dropped or that lives. */
static void write_sealed(struct walk *w, unsigned u, char kind[KIND_MAX])
{
    char resume[KIND_MAX / 2] = "";

    if (w->tokens_n && pick(w, 4))
        (void)snprintf(resume, sizeof(resume), " resume=T%u-%u", w->tokens[pick(w, 8) ? u : pick(w, PEOPLE)],
                       pick(w, 3));
    w->tokens[u] = ++w->tokens_n;
    (void)snprintf(kind, KIND_MAX, " sealed token=T%u%s", w->tokens[u], resume);
}

/* Clients of each kind; a few with a ticket that was cut off, or that ends soon. */
static void log_in(struct walk *w, const char *name)
{
    unsigned u = pick(w, PEOPLE), epoch = pick(w, 8) ? w->epochs[u] : 0;
    char end[KIND_MAX] = "", kind[KIND_MAX] = "";

    if (pick(w, 4) == 0)
        (void)snprintf(end, sizeof(end), " end=%u", 1 + pick(w, 200));
    if (pick(w, 2))
        write_sealed(w, u, kind);
    else if (pick(w, 3))
        (void)snprintf(kind, sizeof(kind), " ext");
    input(w, "login %s u%u%s epoch=%u id=in%llu%s%s", name, u, pick(w, 16) ? "" : "#2", epoch,
          (unsigned long long)++w->labels, end, kind);
    if (pick(w, 2) && !sim_conn(&w->sim, name)->is_closed)
        input(w, "%s subscribe", name);
}

static void come(struct walk *w, const char *name)
{
    if (pick(w, 8) == 0)
        input(w, "connect %s", name);
    else
        log_in(w, name);
}

static void go(struct walk *w, const struct sim_conn *conn)
{
    input(w, "%s %s", pick(w, 8) ? "drop" : "bye", conn->name);
}

/* --- requests ----------------------------------------------------------------------------------------------------- */

static void make(struct walk *w, const struct sim_conn *conn, const char *start)
{
    char users[64] = "";
    size_t n = 0;

    (void)conn;
    for (unsigned u = 0; u < PEOPLE; u++)
        if (pick(w, 3) > 0)
            n += (size_t)snprintf(users + n, sizeof(users) - n, "%su%u", n ? "," : "", u);
    input(w, "%s new_room r%u threshold=%u hold=%s users=%s%s", start, pick(w, ROOMS), pick(w, 4),
          pick(w, 2) ? "members" : "presenters", n ? users : "u0", pick(w, 4) ? "" : " keep=1");
}

/* His share of the room if he was ever sent one (it may be of an older room of that id), else nonsense. */
static void present(struct walk *w, const struct sim_conn *conn, const char *start)
{
    static const char *const changes[] = {":+1", ":cut", ":zero", ":3"};
    const struct name *user = &conn->user->name;
    char room[8];

    (void)snprintf(room, sizeof(room), "r%u", pick(w, ROOMS));
    const char *command = pick(w, 2) ? "secret" : "go_room";
    if (sim_share(&w->sim, slice_text(room), name_slice(user)) && pick(w, 8))
        input(w, "%s %s %s secret=$%s.%s%s", start, command, room, room, user->s,
              pick(w, 8) ? "" : changes[pick(w, ARRAY_LEN(changes))]);
    else
        input(w, "%s %s %s secret=1-a", start, command, room);
}

/* Often one that was sent before, sometimes with another text or to another room. */
static void write_named(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s cid=m%u new_message r%u %s", start, pick(w, CIDS), pick(w, ROOMS), pick(w, 8) ? "hello" : "bye");
}

static void write_plain(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s new_message r%u t%llu", start, pick(w, ROOMS), (unsigned long long)++w->texts);
}

static void write_long(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s new_message r%u x*%u", start, pick(w, ROOMS), 1 + pick(w, 1200));
}

static void edit(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    unsigned room = pick(w, ROOMS), seq = pick(w, 12);
    if (pick(w, 4))
        input(w, "%s edit_message r%u %u e%llu", start, room, seq, (unsigned long long)++w->texts);
    else
        input(w, "%s edit_message r%u %u hello", start, room, seq);
}

static void erase(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s delete_message r%u %u", start, pick(w, ROOMS), pick(w, 12));
}

static void read_page(struct walk *w, const struct sim_conn *conn, const char *start)
{
    static const char *const sides[] = {"before", "after", "around"};

    (void)conn;
    input(w, "%s get_history r%u %s=%u limit=%u", start, pick(w, ROOMS), sides[pick(w, 3)], pick(w, 24),
          1 + pick(w, 8));
}

static void look_for(struct walk *w, const struct sim_conn *conn, const char *start)
{
    static const char *const words[] = {"hello", "be", "t1", "x", "better bye"};

    (void)conn;
    input(w, "%s search r%u %s", start, pick(w, ROOMS), words[pick(w, ARRAY_LEN(words))]);
}

static void mark(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s mark_read r%u seq=%u", start, pick(w, ROOMS), pick(w, 24));
}

static void save(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s save_data k%u x*%u", start, pick(w, 3), 1 + pick(w, 60));
}

static void subscribe(struct walk *w, const struct sim_conn *conn, const char *start)
{
    (void)conn;
    input(w, "%s subscribe %s", start, pick(w, 4) ? "on" : "off");
}

/* What only names a room, or nothing. */
static void say_word(struct walk *w, const struct sim_conn *conn, const char *start)
{
    static const char *const words[] = {"typing", "typing", "delete_chat", "go_room", "get_history"};

    (void)conn;
    if (pick(w, 4) == 0)
        input(w, "%s %s", start, pick(w, 2) ? "online" : "get_data");
    else
        input(w, "%s %s r%u", start, words[pick(w, ARRAY_LEN(words))], pick(w, ROOMS));
}

static const struct {
    unsigned weight;
    void (*ask)(struct walk *w, const struct sim_conn *conn, const char *start);
} requests[] = {
    {6, write_named},
    {4, write_plain},
    {4, present    },
    {3, make       },
    {3, say_word   },
    {3, edit       },
    {2, read_page  },
    {1, look_for   },
    {1, erase      },
    {1, mark       },
    {1, save       },
    {1, subscribe  },
    {1, write_long },
};

/* Mostly with a label, which then must be answered. */
static void ask(struct walk *w, const struct sim_conn *conn)
{
    char start[START_MAX];
    unsigned all = 0;
    size_t i = 0;

    if (pick(w, 6))
        (void)snprintf(start, sizeof(start), "%s id=%llu", conn->name, (unsigned long long)++w->labels);
    else
        (void)snprintf(start, sizeof(start), "%s", conn->name);
    for (i = 0; i < ARRAY_LEN(requests); i++)
        all += requests[i].weight;
    unsigned at = pick(w, all);
    for (i = 0; at >= requests[i].weight; i++)
        at -= requests[i].weight;
    requests[i].ask(w, conn, start);
}

/* --- the world ---------------------------------------------------------------------------------------------------- */

static void store(struct walk *w)
{
    switch (pick(w, 8)) {
    case 0:
        input(w, "fail %u", 1 + pick(w, 3));
        break;
    case 1:
        input(w, "store %u", 1 + pick(w, 3));
        break;
    case 2:
        input(w, "answer");
        break;
    default:
        input(w, "commit %u", 1 + pick(w, 6));
    }
}

static void pass(struct walk *w)
{
    static const unsigned most_ms[] = {300, 3000, 7000, 30000, 400000, 90000000};

    if (pick(w, 6) == 0)
        input(w, "clock %c%u", pick(w, 2) ? '+' : '-', pick(w, pick(w, 3) ? 100 : 200000));
    else
        input(w, "time +%u", pick(w, most_ms[pick(w, ARRAY_LEN(most_ms))]));
}

static void govern(struct walk *w)
{
    unsigned u = pick(w, PEOPLE);

    switch (pick(w, 8)) {
    case 0:
    case 1:
        w->epochs[u] += pick(w, 2);
        input(w, "cut_off u%u %u", u, w->epochs[u]);
        break;
    case 2:
    case 3:
        input(w, "kick u%u", u);
        break;
    case 4:
        input(w, "notice soon");
        break;
    case 5:
        input(w, "leaving");
        break;
    default:
        input(w, "restart");
    }
}

/* --- a step ------------------------------------------------------------------------------------------------------- */

/* What comes from a connection and is no request. */
static void stir(struct walk *w, const struct sim_conn *conn)
{
    static const char *const codes[] = {"malformed", "skew", "replayed", "wrong_from", "broken"};

    switch (pick(w, 8)) {
    case 0:
        input(w, "refuse %s %s %u", conn->name, codes[pick(w, ARRAY_LEN(codes))], 1 + pick(w, pick(w, 4) ? 3 : 120));
        break;
    case 1:
        if (conn->core->sealed)
            input(w, "reauth %s %u %u", conn->name, 1 + pick(w, 300), w->epochs[pick(w, PEOPLE)]);
        break;
    case 2:
        input(w, "lag %s", conn->name);
        break;
    case 3:
        input(w, "%s %s", conn->is_choked ? "unchoke" : "choke", conn->name);
        break;
    default:
        input(w, "pong %s %u", conn->name, pick(w, (unsigned)w->sim.chat->pings + 2));
    }
}

static void step(struct walk *w)
{
    char name[SIM_WORD_MAX];

    (void)snprintf(name, sizeof(name), "c%u", pick(w, CONNECTIONS));
    const struct sim_conn *conn = sim_conn(&w->sim, name);
    unsigned what = pick(w, 64);
    if (what == 0)
        govern(w);
    else if (what < 6)
        pass(w);
    else if (what < 20)
        store(w);
    else if (!conn)
        come(w, name);
    else if (pick(w, conn->is_closed ? 2 : 16) == 0)
        go(w, conn);
    else if (!conn->core->user)
        conn->is_closed || pick(w, 2) ? input(w, "%s id=%llu online", name, (unsigned long long)++w->labels)
                                      : log_in(w, name);
    else if (pick(w, 5) == 0)
        stir(w, conn);
    else
        ask(w, conn);
}

/* Some walks are through a chat with little room. */
static void set_limits(struct walk *w)
{
    static const char *const limits[] = {"rooms=3 rooms_per_user=2 members=3", "rate=2 burst=8",
                                         "connections=2 text=4 data=20 keep=2", "search=40 search_all=100"};
    unsigned i = pick(w, 2 * ARRAY_LEN(limits));

    if (i < ARRAY_LEN(limits))
        input(w, "limit %s", limits[i]);
}

static void play(uint64_t seed, bool is_shown)
{
    char name[64];
    struct walk w = {.seed = seed * 0x9e3779b97f4a7c15ULL, .is_shown = is_shown};

    (void)snprintf(name, sizeof(name), "walk %llu, step", (unsigned long long)seed);
    sim_open(&w.sim, name);
    set_limits(&w);
    for (int i = 0; i < STEPS; i++)
        step(&w);
    sim_settle(&w.sim);
    sim_check_answered(&w.sim);
    sim_close(&w.sim);
}

static void core__holds_what_it_promises_on_random_walks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= WALKS; seed++)
        play(seed, false);
}

static uint64_t shown_seed;

static void core__on_one_walk(void **state)
{
    (void)state;
    play(shown_seed, true);
}

static uint64_t seconds;

/* Each walk has a seed of its own, which a failure names. */
static void core__holds_it_for_a_while(void **state)
{
    int64_t end_ms = clock_monotonic_ms() + (int64_t)seconds * 1000;
    uint64_t seed = (uint64_t)clock_ms(), n = 0;

    (void)state;
    for (; clock_monotonic_ms() < end_ms; n++)
        play(++seed, false);
    print_message("%llu walks of %d steps\n", (unsigned long long)n, STEPS);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(core__holds_what_it_promises_on_random_walks)};
    const struct CMUnitTest one[] = {cmocka_unit_test(core__on_one_walk)};
    const struct CMUnitTest long_ones[] = {cmocka_unit_test(core__holds_it_for_a_while)};

    state_setup();
    if (argc == 3 && strcmp(argv[1], "--for") == 0 && parse_u64(slice_text(argv[2]), 1000000, &seconds) == RC_OK)
        return cmocka_run_group_tests(long_ones, NULL, NULL);
    if (argc == 2 && parse_u64(slice_text(argv[1]), UINT64_MAX, &shown_seed) == RC_OK)
        return cmocka_run_group_tests(one, NULL, NULL);
    return cmocka_run_group_tests(all, NULL, NULL);
}
