/*
 * A harness is one file: it takes any bytes, gives them to a decoder, and checks what must be true of the result.
 *
 * Built twice: by clang with libFuzzer (entry.c), which looks for inputs, and as a plain program that replays a folder
 * of them (replay.c). How to run and to add: tests/fuzz/README.md.
 */
#ifndef KERB_TESTS_FUZZ_H
#define KERB_TESTS_FUZZ_H

#include "shared/base/text.h"
#include "shared/crypto/key.h"

/* Written by the harness. Open: once, before the first input. One: an input, of any length, not NUL-terminated. */
void fuzz_open(void);
void fuzz_one(struct slice input);

/* What must be true; if not, says where and ends the process, and the input is kept. */
#define CHECK(claim)                                 \
    do {                                             \
        if (!(claim))                                \
            fuzz_failed(__FILE__, __LINE__, #claim); \
    } while (0)
#define CHECK_OK(call) CHECK((call) == RC_OK)
_Noreturn void fuzz_failed(const char *file, int line, const char *claim);

/* The bytes up to the next newline, which is left out; *rest goes on behind it. Inputs of several parts are lines. */
struct slice fuzz_line(struct slice *rest);

/* The first byte, as a choice below n; 0 for an empty input. */
unsigned fuzz_choice(struct slice *rest, unsigned n);

/* Once: ready for JSON and cryptography. */
void fuzz_setup(void);

/* The same key in every run, so that what a corpus holds sealed opens. */
void fuzz_key(enum etype etype, uint32_t kvno, struct key *ret);

struct name fuzz_name(const char *text);

/* Writes the input to a file of this process (0600, removed at its end), for what reads files. */
const char *fuzz_file(struct slice content);

/*
 * Calls what makes things that live from one input to the next: libFuzzer looks for leaks behind an input, and does not
 * see what only locked memory points to. fuzz_open is called so.
 */
void fuzz_keep(void (*make)(void));

/* Runs at the end of the process; for a fixture's directory. */
void fuzz_at_exit(void (*end)(void));

#endif
