/* Files that a daemon reads after a stop or a crash: the replay cache, and the stamps of the chat. */
#include <string.h>

#include "chat/wire/stamps.h"
#include "shared/ticket/replay_file.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

static void read_stamps(struct slice input)
{
    struct stamps *s = stamps_new(600), *again = stamps_new(600);
    AUTO(buf_done) struct buf saved = {0}, twice = {0};

    CHECK(s && again);
    if (stamps_restore(s, input) == RC_OK) {
        CHECK_OK(stamps_save(s, &saved));
        CHECK_OK(stamps_restore(again, buf_slice(&saved)));
        CHECK_OK(stamps_save(again, &twice));
        CHECK(slice_eq(buf_slice(&saved), buf_slice(&twice)));
    }
    stamps_free(s);
    stamps_free(again);
}

/* The records of a replay cache, whose check bytes are put right here: 64 bytes each, the last 7 of them. */
static void read_replay(struct slice input)
{
    AUTO(buf_done) struct buf file = {0}, content = {0};
    size_t n = 0;
    bool is_clean;

    for (; input.n >= RECORD_LEN; input = slice_of(input.p + RECORD_LEN, input.n - RECORD_LEN)) {
        uint8_t digest[SHA256_LEN], record[RECORD_LEN];
        memcpy(record, input.p, RECORD_LEN);
        if (record[RECORD_LEN - 1] != 0xff) { /* else it stays damaged */
            CHECK_OK(sha256(slice_of(record, RECORD_LEN - 7), digest));
            memcpy(record + RECORD_LEN - 7, digest, 7);
        }
        CHECK_OK(buf_add(&file, SLICE(record)));
    }
    CHECK_OK(buf_add(&file, input));
    if (replay_file_read(fuzz_file(buf_slice(&file)), &content, &n, &is_clean) != RC_OK)
        return;
    CHECK(n * RECORD_LEN <= content.n);
    for (size_t i = 0; i < n; i++) {
        uint8_t again[RECORD_LEN];
        struct record r;
        if (!record_decode(content.p + i * RECORD_LEN, &r))
            continue;
        CHECK_OK(record_encode(&r, again));
        CHECK(memcmp(again, content.p + i * RECORD_LEN, RECORD_LEN) == 0);
    }
}

void fuzz_one(struct slice input)
{
    if (fuzz_choice(&input, 2))
        read_stamps(input);
    else
        read_replay(input);
}
