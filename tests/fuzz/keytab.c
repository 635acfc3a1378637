/* A keytab file: what is read, written and read again has the same keys. */
#include <stdio.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"

static char *copy_path; /* beside the input's file */

static void end(void)
{
    (void)remove(copy_path);
    str_done(&copy_path);
}

void fuzz_open(void)
{
    AUTO(buf_done) struct buf path = {0};

    CHECK_OK(buf_printf(&path, "%s.copy", fuzz_file(slice_of("", 0))));
    copy_path = slice_dup(buf_slice(&path));
    fuzz_at_exit(end);
}

static bool is_same(const struct key *a, const struct key *b)
{
    return a->etype == b->etype && a->kvno == b->kvno && a->valid_from == b->valid_from &&
           slice_eq(key_slice(a), key_slice(b));
}

void fuzz_one(struct slice input)
{
    AUTO(keytab_done) struct keytab *kt = NULL, *again = NULL;
    const struct name *who, *same;
    const struct key *key, *copy;
    size_t i = 0;

    if (keytab_load(fuzz_file(input), &kt) != RC_OK) {
        CHECK(!kt);
        return;
    }
    CHECK_OK(keytab_save(kt, copy_path));
    CHECK_OK(keytab_load(copy_path, &again));
    for (; keytab_at(kt, i, &who, &key); i++) {
        CHECK(key->n == etype_key_len(key->etype));
        CHECK(keytab_find(kt, who, key->etype, key->kvno) == key);
        CHECK(keytab_at(again, i, &same, &copy));
        CHECK(slice_eq(name_slice(who), name_slice(same)) && is_same(key, copy));
    }
    CHECK(i <= KEYTAB_KEYS_MAX && !keytab_at(again, i, &same, &copy));
}
