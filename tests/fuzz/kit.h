/* The chat's wire for a harness: the kit of the unit tests, which keeps nothing between two starts. */
#ifndef KERB_TESTS_FUZZ_KIT_H
#define KERB_TESTS_FUZZ_KIT_H

#include "chat/wire/internal.h"
#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire.h"

static struct wire_kit *kit;

static inline void kit_end(void)
{
    void *state = kit;
    (void)kit_teardown(&state);
}

static inline void kit_begin(void)
{
    void *state;

    CHECK(kit_setup(&state) == 0);
    kit = state;
    fuzz_at_exit(kit_end);
    kit_stop(kit);
    str_done(&kit->state_dir); /* no files */
    kit_start(kit);
}

static inline void kit_session(enum etype etype)
{
    fuzz_key(etype, 0, &kit->ticket.session);
}

static inline void kit_connect(enum wire_profile profile)
{
    wire_conn_free(kit->conn);
    kit->conn = wire_conn_new(kit->wire, profile, "127.0.0.1");
    CHECK(kit->conn);
}

/* Whatever was read: refused with a reason, or accepted with none. */
static inline enum rc kit_reads(struct slice message, bool is_binary)
{
    enum rc rc;

    wire_read(kit->conn, message, is_binary, WIRE_NOW, &kit->event, &rc);
    CHECK((rc == RC_OK) == (kit->event.kind != CHAT_REFUSED));
    CHECK(kit->event.kind != CHAT_REFUSED || (kit->event.request && kit->event.code < CODE_COUNT));
    return rc;
}

/* The bytes with `mark` exchanged for what cannot be known before: a stamp, a nonce. */
static inline void kit_fill(struct slice s, uint8_t mark, struct slice with, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        CHECK_OK(s.p[i] == mark ? buf_add(out, with) : buf_byte(out, s.p[i]));
}

static inline struct slice kit_stamp(void)
{
    static char text[CLASSIC_TIME_LEN + 1];

    time_format_classic(WIRE_NOW, text);
    return slice_text(text);
}

#endif
