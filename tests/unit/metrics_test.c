/* Metrics: what is counted is shown, in the form that Prometheus reads. */
#include "shared/service/metrics.h"

#include "shared/service/metrics_get.h"
#include "tests/unit/unit.h"

static bool page_has(const char *line)
{
    AUTO(buf_done) struct buf page = {0};
    assert_ok(metrics_text("kerb-test", &page));
    const char *text = buf_cstr(&page);
    assert_non_null(text);
    const char *at = strstr(text, line);
    return at && (at == text || at[-1] == '\n');
}

static void metrics__show_what_was_counted(void **state)
{
    (void)state;
    assert_true(page_has("kerb_replays_total 0\n"));
    metric_count(COUNT_replays, 2);
    metric_count(COUNT_replays, 1);
    metric_set(GAUGE_rooms_open, 7);
    metric_set(GAUGE_rooms_open, 5);
    assert_true(page_has("kerb_replays_total 3\n"));
    assert_true(page_has("kerb_rooms_open 5\n"));
    assert_true(page_has("# TYPE kerb_replays_total counter\n"));
    assert_true(page_has("# TYPE kerb_rooms_open gauge\n"));
    assert_true(page_has("kerb_build_info{daemon=\"kerb-test\",version=\"" KERB_VERSION "\"} 1\n"));
}

static void metrics__count_requests_by_event_profile_and_result(void **state)
{
    (void)state;
    metric_request("as", PROFILE_IS_SEALED, RC_OK, 100);
    metric_request("as", PROFILE_IS_SEALED, RC_OK, 100);
    metric_request("as", PROFILE_IS_CLASSIC, RC_BAD_PREAUTH, 100);
    metric_request("admin", PROFILE_ANY, RC_NOT_ADMIN, 100);
    assert_true(page_has("kerb_requests_total{event=\"as\",profile=\"sealed\",result=\"OK\"} 2\n"));
    assert_true(page_has("kerb_requests_total{event=\"as\",profile=\"classic\",result=\"BAD_PREAUTH\"} 1\n"));
    assert_true(page_has("kerb_requests_total{event=\"admin\",profile=\"any\",result=\"NOT_ADMIN\"} 1\n"));
    assert_false(page_has("kerb_requests_total{event=\"admin\",profile=\"sealed\""));
}

static void metrics__sort_values_into_buckets_that_add_up(void **state)
{
    (void)state;
    metric_observe(HISTOGRAM_client_skew_seconds, 0);
    metric_observe(HISTOGRAM_client_skew_seconds, 10);
    metric_observe(HISTOGRAM_client_skew_seconds, 11);
    metric_observe(HISTOGRAM_client_skew_seconds, 1000000);
    metric_observe(HISTOGRAM_client_skew_seconds, -5);
    assert_true(page_has("kerb_client_skew_seconds_bucket{le=\"0\"} 2\n"));
    assert_true(page_has("kerb_client_skew_seconds_bucket{le=\"10\"} 3\n"));
    assert_true(page_has("kerb_client_skew_seconds_bucket{le=\"30\"} 4\n"));
    assert_true(page_has("kerb_client_skew_seconds_bucket{le=\"+Inf\"} 5\n"));
    assert_true(page_has("kerb_client_skew_seconds_count 5\n"));
    assert_true(page_has("kerb_client_skew_seconds_sum 1000021.000000\n"));
    metric_observe(HISTOGRAM_commit_seconds, 2500);
    assert_true(page_has("kerb_commit_seconds_bucket{le=\"0.001\"} 0\n"));
    assert_true(page_has("kerb_commit_seconds_bucket{le=\"0.0025\"} 1\n"));
    assert_true(page_has("kerb_commit_seconds_sum 0.002500\n"));
}

static void metrics__have_a_help_and_a_type_for_each_family(void **state)
{
    AUTO(buf_done) struct buf page = {0};
    static const char type[] = "# TYPE ";
    char last[128] = "";

    (void)state;
    assert_ok(metrics_text("kerb-test", &page));
    const char *text = buf_cstr(&page);
    for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
        if (strncmp(line, type, sizeof type - 1) == 0)
            (void)snprintf(last, sizeof last, "%.*s", (int)strcspn(line + sizeof type - 1, " "),
                           line + sizeof type - 1);
        else if (line[0] != '#')
            assert_int_equal(strncmp(line, last, strlen(last)), 0);
    }
}

static void metrics_get__answers_as_text(void **state)
{
    static char daemon[] = "kerb-test";
    struct http_reply reply = {0};
    const struct http_request req = {.address = "", .op_id = ""};

    (void)state;
    metrics_get(daemon, &req, &reply);
    assert_int_equal(reply.status, 0);
    assert_string_equal(reply.content_type, "text/plain; version=0.0.4; charset=utf-8");
    assert_true(reply.body.n > 0);
    buf_done(&reply.body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics__show_what_was_counted),
        cmocka_unit_test(metrics__count_requests_by_event_profile_and_result),
        cmocka_unit_test(metrics__sort_values_into_buckets_that_add_up),
        cmocka_unit_test(metrics__have_a_help_and_a_type_for_each_family),
        cmocka_unit_test(metrics_get__answers_as_text),
    };
    json_setup();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
