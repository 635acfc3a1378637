/*
 * Random walks through the chat's core: people come, go, make rooms, present shares, write and leave, while the store
 * fails now and then and the daemon dies now and then. After every step what must be true is checked
 * (tests/sim/check.c).
 *
 * `chat_walk_test SEED` plays one walk and shows it.
 */
#include "tests/sim/sim.h"

#include <stdlib.h>

#define WALKS       12
#define STEPS       500
#define PEOPLE      5
#define ROOMS       4
#define CIDS        6
#define CONNECTIONS 8

struct walk {
    struct sim sim;
    uint64_t seed, labels;
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

/* On a sealed connection mostly, which often resumes an earlier one: mostly his own, that dropped or that lives. */
static void come(struct walk *w, unsigned c)
{
    unsigned u = pick(w, PEOPLE);
    char resume[64] = "";

    if (pick(w, 4) == 0) {
        input(w, "login c%u u%u ext", c, u);
        if (pick(w, 2))
            input(w, "c%u subscribe", c);
        return;
    }
    if (w->tokens_n && pick(w, 4))
        (void)snprintf(resume, sizeof(resume), " resume=T%u-%u", w->tokens[pick(w, 8) ? u : pick(w, PEOPLE)],
                       pick(w, 3));
    w->tokens[u] = ++w->tokens_n;
    input(w, "login c%u u%u sealed token=T%u%s", c, u, w->tokens[u], resume);
    if (pick(w, 2))
        input(w, "c%u subscribe", c);
}

static void go(struct walk *w, const struct sim_conn *conn)
{
    input(w, "drop %s", conn->name);
}

static void make(struct walk *w, const char *start)
{
    char users[64] = "";
    size_t n = 0;

    for (unsigned u = 0; u < PEOPLE; u++)
        if (w->sim.chat && pick(w, 3) > 0)
            n += (size_t)snprintf(users + n, sizeof(users) - n, "%su%u", n ? "," : "", u);
    input(w, "%s new_room r%u threshold=%u hold=%s users=%s", start, pick(w, ROOMS), pick(w, 4),
          pick(w, 2) ? "members" : "presenters", n ? users : "u0");
}

/* His share of the room if he was ever sent one (it may be of an older room of that id), else nonsense. */
static void present(struct walk *w, const struct sim_conn *conn, const char *start)
{
    char room[8];
    const struct name *user = &conn->user->name;

    (void)snprintf(room, sizeof(room), "r%u", pick(w, ROOMS));
    const char *command = pick(w, 2) ? "secret" : "go_room";
    if (sim_share(&w->sim, slice_text(room), name_slice(user)) && pick(w, 8))
        input(w, "%s %s %s secret=$%s.%s", start, command, room, room, user->s);
    else
        input(w, "%s %s %s secret=1-a", start, command, room);
}

static void ask(struct walk *w, struct sim_conn *conn)
{
    char start[SIM_WORD_MAX + 32];

    /* one label at a time, so that its one reply can be counted */
    if (conn->label == 0 || conn->replies == 1)
        (void)snprintf(start, sizeof(start), "%s id=%llu", conn->name, (unsigned long long)++w->labels);
    else
        (void)snprintf(start, sizeof(start), "%s", conn->name);
    switch (pick(w, 18)) {
    case 0:
    case 1:
        make(w, start);
        break;
    case 2:
        input(w, "%s delete_chat r%u", start, pick(w, ROOMS));
        break;
    case 3:
    case 4:
    case 5:
        present(w, conn, start);
        break;
    case 6:
        input(w, "%s go_room r%u", start, pick(w, ROOMS));
        break;
    case 7:
        input(w, "%s %s", start, pick(w, 2) ? "get_data" : "save_data k 1");
        break;
    case 8:
        if (pick(w, 2))
            input(w, "%s online", start);
        else
            input(w, "%s get_history r%u %s=%u limit=%u", start, pick(w, ROOMS),
                  (const char *[]){"before", "after", "around"}[pick(w, 3)], pick(w, 12), 1 + pick(w, 5));
        break;
    case 9:
        input(w, "%s new_message r%u hello", start, pick(w, ROOMS));
        break;
    case 10:
        input(w, "%s edit_message r%u %u %s", start, pick(w, ROOMS), pick(w, 12), pick(w, 4) ? "better" : "hello");
        break;
    case 11:
        input(w, "%s delete_message r%u %u", start, pick(w, ROOMS), pick(w, 12));
        break;
    case 12:
        input(w, "%s subscribe %s", start, pick(w, 4) ? "on" : "off");
        break;
    case 13:
        input(w, "%s search r%u %s", start, pick(w, ROOMS), pick(w, 2) ? "hello" : "be");
        break;
    default: /* often one that was sent before, sometimes with another text or to another room */
        input(w, "%s cid=m%u new_message r%u %s", start, pick(w, CIDS), pick(w, ROOMS), pick(w, 8) ? "hello" : "bye");
    }
}

static void world(struct walk *w)
{
    switch (pick(w, 16)) {
    case 0:
        input(w, "fail %u", 1 + pick(w, 3));
        break;
    case 1:
        input(w, "store %u", 1 + pick(w, 3));
        break;
    case 2:
        input(w, "answer");
        break;
    case 3:
        if (pick(w, 4) == 0)
            input(w, "restart");
        break;
    case 4:
        input(w, "time +%u", pick(w, pick(w, 3) ? 7000 : 30000));
        break;
    default:
        input(w, "commit %u", 1 + pick(w, 6));
    }
}

static void step(struct walk *w)
{
    char name[SIM_WORD_MAX];
    unsigned c = pick(w, CONNECTIONS);

    (void)snprintf(name, sizeof(name), "c%u", c);
    struct sim_conn *conn = sim_conn(&w->sim, name);
    if (pick(w, 3) == 0)
        world(w);
    else if (!conn)
        come(w, c);
    else if (conn->is_closed || pick(w, 12) == 0)
        go(w, conn);
    else if (pick(w, 4) == 0)
        input(w, "pong %s %u", name, pick(w, (unsigned)w->sim.chat->pings + 2));
    else if (pick(w, 8) == 0)
        input(w, "%s %s", conn->is_choked ? "unchoke" : "choke", name);
    else
        ask(w, conn);
}

/* Whoever stayed has the one reply to his last labelled request. */
static void check_replies(struct walk *w)
{
    const struct sim_conn *conn;

    sim_settle(&w->sim);
    TAILQ_FOREACH (conn, &w->sim.conns, link)
        if (!conn->is_closed && conn->label && conn->replies != 1)
            sim_stop(&w->sim, "%s has no reply with label %llu", conn->name, (unsigned long long)conn->label);
}

static void play(uint64_t seed, bool is_shown)
{
    char name[64];
    struct walk w = {.seed = seed * 0x9e3779b97f4a7c15ULL, .is_shown = is_shown};

    (void)snprintf(name, sizeof(name), "walk %llu, step", (unsigned long long)seed);
    sim_open(&w.sim, name);
    for (int i = 0; i < STEPS; i++)
        step(&w);
    check_replies(&w);
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

int main(int argc, char **argv)
{
    const struct CMUnitTest all[] = {cmocka_unit_test(core__holds_what_it_promises_on_random_walks)};
    const struct CMUnitTest one[] = {cmocka_unit_test(core__on_one_walk)};

    state_setup();
    if (argc > 1 && parse_u64(slice_text(argv[1]), UINT64_MAX, &shown_seed) == RC_OK)
        return cmocka_run_group_tests(one, NULL, NULL);
    return cmocka_run_group_tests(all, NULL, NULL);
}
