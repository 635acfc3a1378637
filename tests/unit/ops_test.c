/* Decisions: every row of the table of results reaches the audit log and the metrics, and has a sentence. */
#include "shared/service/ops.h"

#include "shared/base/file.h"
#include "shared/service/explain.h"
#include "tests/unit/state.h"
#include "tests/unit/unit.h"

static struct conf conf;
static struct envelope_key key;

static enum rc audit_key(void *ctx, uint32_t kvno, struct envelope_key *ret)
{
    (void)ctx;
    (void)kvno;
    *ret = key;
    return RC_OK;
}

static struct ops *ops_make(void)
{
    AUTO(buf_done) struct buf error = {0};
    const struct ops_options options = {
        .conf = &conf, .daemon = "kerb-test", .folder = "as", .audit_key = audit_key, .now_s = 1000};
    struct ops *o = NULL;

    assert_ok(ops_open(&options, &o, &error));
    return o;
}

static int start(void **state)
{
    AUTO(key_done) struct key master = {0};

    (void)state;
    state_make(&conf, "as");
    assert_ok(name_parse(slice_text(conf.realm_name), &conf.realm));
    assert_ok(key_random(ETYPE_AES128_CBC_HS256, 1, 0, &master));
    return envelope_derive(&master, LABEL_AUDIT, &key) == RC_OK ? 0 : 1;
}

static int stop(void **state)
{
    (void)state;
    state_remove(&conf);
    return 0;
}

struct seen {
    enum rc next;
};

/* Line number i tells of result i, and of all that the decision had. */
static enum rc check_line(void *ctx, const json_t *line)
{
    struct seen *seen = ctx;
    struct slice text;
    enum rc rc;

    assert_ok(json_get_text(line, "result", &text));
    assert_ok(explain_find(text, &rc));
    assert_int_equal(rc, seen->next);
    seen->next++;
    if (rc == RC_OK) {
        assert_null(json_object_get(line, "reason"));
    } else {
        assert_ok(json_get_text(line, "reason", &text));
        assert_true(slice_eq(text, slice_text(rc_text(rc))));
    }
    static const struct {
        const char *name, *value;
    } want[] = {
        {"event",      "tgs"                   },
        {"what",       "renew"                 },
        {"op_id",      "0123456789abcdef"      },
        {"address",    "192.0.2.1"             },
        {"profile",    "sealed"                },
        {"client",     "alice"                 },
        {"service",    "chat"                  },
        {"target",     "bob"                   },
        {"ticket_in",  "AQEBAQEBAQEBAQEBAQEBAQ"},
        {"ticket_out", "AgICAgICAgICAgICAgICAg"},
        {"refusal",    "word"                  },
    };
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_ok(json_get_text(line, want[i].name, &text));
        assert_true(slice_eq(text, slice_text(want[i].value)));
    }
    assert_int_equal(json_integer_value(json_object_get(line, "skew_s")), -3);
    assert_true(json_integer_value(json_object_get(line, "duration_us")) >= 0);
    return RC_OK;
}

static void ops_tell__records_every_row_of_the_table(void **state)
{
    AUTO(str_done) char *path = NULL;
    uint8_t in[ID_LEN], out[ID_LEN];
    struct audit_report report;
    struct seen seen = {RC_OK};

    (void)state;
    memset(in, 1, sizeof in);
    memset(out, 2, sizeof out);
    struct ops *o = ops_make();
    for (enum rc rc = 0; rc < RC_COUNT; rc++)
        ops_tell(o, &(struct decision){
                        .event = "tgs",
                        .what = "renew",
                        .op_id = "0123456789abcdef",
                        .address = "192.0.2.1",
                        .profile = ETYPE_AES128_CBC_HS256,
                        .client = slice_text("alice"),
                        .service = slice_text("chat"),
                        .target = slice_text("bob"),
                        .ticket_in = in,
                        .ticket_out = out,
                        .rc = rc,
                        .refusal = "word",
                        .skew_s = -3,
                        .has_skew = true,
                        .started_us = clock_monotonic_us(),
                    });
    ops_close(o);
    assert_ok(ops_path(&conf, "as", OPS_AUDIT_LOG, &path));
    const struct audit_options options = {.path = path, .daemon = "kerb-test", .realm = conf.realm, .key = audit_key};
    assert_ok(audit_verify(&options, check_line, &seen, &report));
    assert_int_equal(seen.next, RC_COUNT);
    for (enum rc rc = 0; rc < RC_COUNT; rc++) {
        AUTO(buf_done) struct buf page = {0}, want = {0};
        assert_ok(metrics_text("kerb-test", &page));
        assert_ok(buf_printf(&want, "event=\"tgs\",profile=\"sealed\",result=\"%s\"} 1\n", rc_name(rc)));
        assert_non_null(memmem(page.p, page.n, want.p, want.n));
    }
}

static void explain_result__has_a_sentence_of_its_own_for_every_row(void **state)
{
    enum rc found;

    (void)state;
    for (enum rc rc = 0; rc < RC_COUNT; rc++) {
        const char *text = explain_result(rc);
        size_t n = strlen(text);
        assert_true(n > 10 && text[n - 1] == '.');
        assert_string_not_equal(text, rc_text(rc));
        for (enum rc other = 0; other < rc; other++)
            assert_string_not_equal(text, explain_result(other));
        assert_ok(explain_find(slice_text(rc_name(rc)), &found));
        assert_int_equal(found, rc);
    }
    assert_rc(explain_find(slice_text("NO_SUCH_RESULT"), &found), RC_NOT_FOUND);
    assert_string_equal(explain_result(RC_COUNT), "");
}

/* What each result does to the gate: a wrong one counts, a right one clears, the rest is given back. */
static void gate_tell__counts_what_a_guess_can_lead_to(void **state)
{
    static const enum rc wrong[] = {RC_NO_CLIENT, RC_BAD_PREAUTH, RC_CLIENT_DISABLED, RC_NO_CLIENT_KEY,
                                    RC_REFLECTED, RC_PROFILE_OFF, RC_REPEAT,          RC_MODIFIED,
                                    RC_NO_KVNO,   RC_NOT_US,      RC_BAD_ETYPE,       RC_BAD_MATCH,
                                    RC_BAD_CODE,  RC_BAD_ADDRESS, RC_NAME_TAKEN};
    const struct gate_limits limits = {
        .principal_free = 1, .principal_hold_s = 100, .network_free = 1000, .network_window_s = 60, .forget_s = 1000};

    (void)state;
    for (enum rc rc = 0; rc < RC_COUNT; rc++) {
        struct gate *g = NULL;
        struct gate_try t;
        bool is_wrong = false;
        for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
            is_wrong = is_wrong || wrong[i] == rc;
        assert_ok(gate_open(&limits, NULL, 1000, &g));
        assert_ok(gate_ask(g, slice_text("alice"), "192.0.2.1", 1000, &t));
        gate_tell(g, &t, rc, 1000);
        gate_tell(g, &t, rc, 1000); /* a second time it is no try any more */
        assert_rc(gate_ask(g, slice_text("alice"), "192.0.2.1", 1000, &t), is_wrong ? RC_HELD : RC_OK);
        gate_tell(g, &t, RC_SKEW, 1000);
        gate_close(g);
    }
}

static void gate_ask__lets_everything_pass_without_a_gate(void **state)
{
    struct gate_try t;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        assert_ok(gate_ask(NULL, slice_text("alice"), "192.0.2.1", 1000, &t));
        gate_tell(NULL, &t, RC_BAD_PREAUTH, 1000);
    }
}

/* 20 for one name, 60 of a network: what a school behind one address does in a morning. */
static void ops__defaults_let_pass_what_they_must(void **state)
{
    struct gate_try t;

    (void)state;
    struct ops *o = ops_make();
    struct gate *g = ops_gate(o);
    for (int i = 0; i < 20; i++) {
        assert_ok(gate_ask(g, slice_text("alice"), "192.0.2.1", 1000, &t));
        gate_tell(g, &t, RC_BAD_PREAUTH, 1000);
    }
    assert_ok(gate_ask(g, slice_text("alice"), "192.0.2.1", 1000, &t));
    gate_tell(g, &t, RC_OK, 1000);
    for (int i = 0; i < 180; i++) {
        assert_ok(gate_ask(g, slice_of(NULL, 0), "192.0.2.1", 1000, &t));
        gate_tell(g, &t, RC_MODIFIED, 1000);
    }
    assert_ok(gate_ask(g, slice_text("bob"), "192.0.2.1", 1000, &t));
    gate_tell(g, &t, RC_OK, 1000);
    ops_close(o);
}

static void ops__has_no_gate_where_the_throttle_is_off(void **state)
{
    (void)state;
    conf.policy_throttle = false;
    struct ops *o = ops_make();
    assert_null(ops_gate(o));
    ops_second(o);
    assert_ok(ops_ready(o));
    ops_close(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ops_tell__records_every_row_of_the_table, start, stop),
        cmocka_unit_test(explain_result__has_a_sentence_of_its_own_for_every_row),
        cmocka_unit_test(gate_tell__counts_what_a_guess_can_lead_to),
        cmocka_unit_test(gate_ask__lets_everything_pass_without_a_gate),
        cmocka_unit_test_setup_teardown(ops__defaults_let_pass_what_they_must, start, stop),
        cmocka_unit_test_setup_teardown(ops__has_no_gate_where_the_throttle_is_off, start, stop),
    };
    json_setup();
    log_setup("kerb-test", LOG_ERROR);
    if (crypto_setup() != RC_OK)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
