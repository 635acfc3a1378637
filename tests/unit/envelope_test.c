/* The envelope: layout, derivation, and that everything it is bound to must be right. */
#include "shared/crypto/envelope.h"

#include <string.h>

#include "tests/unit/vectors.h"

static const struct key root = {
    .etype = ETYPE_AES128_CBC_HS256, .kvno = 0x01020304, .n = AEAD_KEY, .bytes = {1, 2, 3}
};

static const char *const parts[4] = {"REALM", "alice", "chat", "context"};

static struct envelope_aad aad_of(const char *const names[4])
{
    return (struct envelope_aad){.realm = slice_text(names[0]),
                                 .client = slice_text(names[1]),
                                 .server = slice_text(names[2]),
                                 .context = slice_text(names[3])};
}

static struct envelope_key derived(enum label label)
{
    struct envelope_key key;
    assert_ok(envelope_derive(&root, label, &key));
    return key;
}

static struct buf sealed(const char *text)
{
    struct buf out = {0};
    struct envelope_key key = derived(LABEL_TICKET);
    struct envelope_aad aad = aad_of(parts);
    assert_ok(envelope_seal(&key, &aad, slice_text(text), &out));
    return out;
}

static enum rc open_as(enum label label, const char *const names[4], struct slice envelope, struct buf *ret)
{
    struct envelope_key key = derived(label);
    struct envelope_aad aad = aad_of(names);
    return envelope_open(&key, &aad, envelope, ret);
}

static void envelope_open__gives_back_every_length(void **state)
{
    (void)state;
    char text[70] = "";

    for (size_t n = 0; n < sizeof(text) - 1; n++) {
        text[n] = 0;
        AUTO(buf_done) struct buf e = sealed(text), plain = {0};
        text[n] = 'x';
        assert_in_range(e.n, n + 1, n + ENVELOPE_OVERHEAD);
        assert_ok(open_as(LABEL_TICKET, parts, buf_slice(&e), &plain));
        assert_int_equal(plain.n, n);
    }
}

/* The envelope opened by hand, from the words of the protocol alone. */
static void envelope_seal__has_the_layout_of_the_protocol(void **state)
{
    (void)state;
    static const char bound[] = "KERB1\x01\x01\x01\x02\x03\x04\0\5REALM\0\5alice\0\4chat\0\7context";
    AUTO(buf_done) struct buf e = sealed("hello"), plain = {0};
    uint8_t key[AEAD_KEY];

    assert_int_equal(e.n, 6 + 16 + 16 + 16);
    assert_memory_equal(e.p, "\x01\x01\x01\x02\x03\x04", 6);
    assert_ok(hkdf_sha256(key_slice(&root), slice_of(NULL, 0), slice_text("kerb1 ticket"), key, sizeof(key)));
    struct slice aad = slice_of(bound, sizeof(bound) - 1);
    assert_ok(aead_open(key, e.p + 6, aad, slice_of(e.p + 22, 16), e.p + 38, &plain));
    assert_slice(buf_slice(&plain), "hello");
}

static void envelope_derive__each_label_has_its_key(void **state)
{
    (void)state;
    static const struct {
        enum label label;
        const char *info;
    } cases[] = {
        {LABEL_TICKET,  "kerb1 ticket" },
        {LABEL_MESSAGE, "kerb1 message"},
        {LABEL_ROW,     "kerb1 row"    },
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct envelope_key key = derived(cases[i].label);
        uint8_t want[AEAD_KEY];
        assert_ok(hkdf_sha256(key_slice(&root), slice_of(NULL, 0), slice_text(cases[i].info), want, sizeof(want)));
        assert_memory_equal(key.mac_enc, want, AEAD_KEY);
        assert_int_equal(key.kvno, root.kvno);
    }
}

static void envelope_derive__refuses_a_classic_key(void **state)
{
    (void)state;
    struct key classic = {.etype = ETYPE_AES128_CBC, .n = AES128_KEY}, cut = root;
    struct envelope_key key;

    assert_rc(envelope_derive(&classic, LABEL_ROW, &key), RC_BAD_ETYPE);
    cut.n = 31;
    assert_rc(envelope_derive(&cut, LABEL_ROW, &key), RC_BAD_ETYPE);
}

static void envelope_seal__never_gives_the_same_twice(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf a = sealed("hello"), b = sealed("hello");
    assert_false(slice_eq(buf_slice(&a), buf_slice(&b)));
}

static void envelope_open__refuses_every_flipped_bit_and_cut(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf e = sealed("a text of more than one block");

    for (size_t bit = 0; bit < e.n * 8; bit++) {
        AUTO(buf_done) struct buf plain = {0};
        e.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_rc(open_as(LABEL_TICKET, parts, buf_slice(&e), &plain), RC_MODIFIED);
        assert_int_equal(plain.n, 0);
        e.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < e.n; n++) {
        AUTO(buf_done) struct buf plain = {0};
        assert_rc(open_as(LABEL_TICKET, parts, slice_of(e.p, n), &plain), RC_MODIFIED);
    }
}

static void envelope_open__refuses_another_label(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf e = sealed("hello"), plain = {0};

    assert_rc(open_as(LABEL_ROW, parts, buf_slice(&e), &plain), RC_MODIFIED);
    assert_rc(open_as(LABEL_MESSAGE, parts, buf_slice(&e), &plain), RC_MODIFIED);
    assert_ok(open_as(LABEL_TICKET, parts, buf_slice(&e), &plain));
}

static void envelope_open__refuses_other_names(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf e = sealed("hello");

    for (size_t i = 0; i < 4; i++) {
        AUTO(buf_done) struct buf plain = {0};
        const char *names[4] = {parts[0], parts[1], parts[2], parts[3]};
        names[i] = "other";
        assert_rc(open_as(LABEL_TICKET, names, buf_slice(&e), &plain), RC_MODIFIED);
        names[i] = "";
        assert_rc(open_as(LABEL_TICKET, names, buf_slice(&e), &plain), RC_MODIFIED);
    }
}

static void envelope_open__letters_do_not_move_between_names(void **state)
{
    (void)state;
    static const char *const moved[4] = {"REALMa", "lice", "chat", "context"};
    AUTO(buf_done) struct buf e = sealed("hello"), plain = {0};

    assert_rc(open_as(LABEL_TICKET, moved, buf_slice(&e), &plain), RC_MODIFIED);
}

static void envelope_open__refuses_another_version_of_the_same_key(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf e = sealed("hello"), plain = {0};
    struct envelope_key key = derived(LABEL_TICKET);
    struct envelope_aad aad = aad_of(parts);

    key.kvno++;
    assert_rc(envelope_open(&key, &aad, buf_slice(&e), &plain), RC_MODIFIED);
}

static void envelope_open__wipes_what_was_there_before(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf plain = {0};

    assert_ok(buf_text(&plain, "before"));
    assert_rc(open_as(LABEL_TICKET, parts, slice_text("short"), &plain), RC_MODIFIED);
    assert_int_equal(plain.n, 0);
}

static void envelope_seal__refuses_what_is_too_long_to_be_bound(void **state)
{
    (void)state;
    static uint8_t long_context[ENVELOPE_AAD_MAX];
    AUTO(buf_done) struct buf out = {0};
    struct envelope_key key = derived(LABEL_ROW);
    struct envelope_aad aad = aad_of(parts);

    size_t rest = strlen("KERB1") + ENVELOPE_HEAD + 4 * 2 + aad.realm.n + aad.client.n + aad.server.n;
    aad.context = slice_of(long_context, sizeof long_context - rest + 1);
    assert_ok(buf_text(&out, "kept"));
    assert_rc(envelope_seal(&key, &aad, slice_text("x"), &out), RC_LIMIT);
    assert_slice(buf_slice(&out), "kept");
    aad.context.n--;
    assert_ok(envelope_seal(&key, &aad, slice_text("x"), &out));
}

static void envelope_kvno__reads_the_version_and_refuses_a_foreign_head(void **state)
{
    (void)state;
    AUTO(buf_done) struct buf e = sealed("");
    uint32_t kvno = 0;

    assert_ok(envelope_kvno(buf_slice(&e), &kvno));
    assert_int_equal(kvno, root.kvno);
    assert_rc(envelope_kvno(slice_of(e.p, e.n - 1), &kvno), RC_MODIFIED);
    e.p[0] = 2;
    assert_rc(envelope_kvno(buf_slice(&e), &kvno), RC_MODIFIED);
    e.p[0] = 1;
    e.p[1] = 2;
    assert_rc(envelope_kvno(buf_slice(&e), &kvno), RC_MODIFIED);
}

static void derive_pair__gives_what_each_derivation_gives(void **state)
{
    static const enum label labels[2] = {LABEL_TGS_AUTHENTICATOR, LABEL_TGS_REPLY};
    struct envelope_key pair[2], single;
    struct key key, classic;

    (void)state;
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 7, 0, &key));
    assert_ok(envelope_derive_pair(&key, labels, pair));
    for (size_t i = 0; i < 2; i++) {
        assert_ok(envelope_derive(&key, labels[i], &single));
        assert_memory_equal(pair[i].mac_enc, single.mac_enc, AEAD_KEY);
        assert_int_equal(pair[i].kvno, 7);
    }
    assert_memory_not_equal(pair[0].mac_enc, pair[1].mac_enc, AEAD_KEY);
    assert_ok(key_random(ETYPE_AES128_CBC, 0, 0, &classic));
    assert_rc(envelope_derive_pair(&classic, labels, pair), RC_BAD_ETYPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(derive_pair__gives_what_each_derivation_gives),
        cmocka_unit_test(envelope_open__gives_back_every_length),
        cmocka_unit_test(envelope_seal__has_the_layout_of_the_protocol),
        cmocka_unit_test(envelope_derive__each_label_has_its_key),
        cmocka_unit_test(envelope_derive__refuses_a_classic_key),
        cmocka_unit_test(envelope_seal__never_gives_the_same_twice),
        cmocka_unit_test(envelope_open__refuses_every_flipped_bit_and_cut),
        cmocka_unit_test(envelope_open__refuses_another_label),
        cmocka_unit_test(envelope_open__refuses_other_names),
        cmocka_unit_test(envelope_open__letters_do_not_move_between_names),
        cmocka_unit_test(envelope_open__refuses_another_version_of_the_same_key),
        cmocka_unit_test(envelope_open__wipes_what_was_there_before),
        cmocka_unit_test(envelope_seal__refuses_what_is_too_long_to_be_bound),
        cmocka_unit_test(envelope_kvno__reads_the_version_and_refuses_a_foreign_head),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
