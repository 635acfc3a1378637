/* Metrics: arrays of atomics behind a table of names. */
#include "shared/service/metrics.h"

#include <stdatomic.h>
#include <string.h>

#define BOUNDS_N 12
#define EVENTS_N 16 /* kinds of requests that one daemon decides */

/* The same for times and skews: 1, 2.5, 5 steps; in the unit of the histogram. */
static const int64_t time_bounds[BOUNDS_N] = {50,    100,   250,    500,    1000,    2500,
                                              10000, 50000, 100000, 500000, 1000000, 5000000};
static const int64_t skew_bounds[BOUNDS_N] = {0, 1, 2, 5, 10, 30, 60, 120, 300, 600, 3600, 50400};

struct histogram {
    _Atomic uint64_t buckets[BOUNDS_N + 1], sum;
};

static const struct {
    const char *name, *help;
} counters[COUNT_N] = {
#define C(name, help) [COUNT_##name] = {"kerb_" #name "_total", help},
    METRICS_COUNTERS(C)
#undef C
};

static const struct {
    const char *name, *help;
} gauges[GAUGE_N] = {
#define G(name, help) [GAUGE_##name] = {"kerb_" #name, help},
    METRICS_GAUGES(G)
#undef G
};

static const struct {
    const char *name, *help;
    int64_t unit;
} histograms[HISTOGRAM_N] = {
#define H(name, help, unit) [HISTOGRAM_##name] = {"kerb_" #name, help, unit},
    METRICS_HISTOGRAMS(H)
#undef H
};

static const char *const profile_words[PROFILE_N] = {"any", "classic", "sealed"};

static _Atomic uint64_t counted[COUNT_N];
static _Atomic int64_t gauged[GAUGE_N];
static struct histogram observed[HISTOGRAM_N];

/* Requests by kind: a place is taken at the first one of its kind and kept. */
static struct {
    _Atomic(const char *) event;
    _Atomic uint64_t by_result[PROFILE_N][RC_COUNT];
} requests[EVENTS_N];

void metric_count(enum metric_counter c, uint64_t n)
{
    atomic_fetch_add_explicit(&counted[c], n, memory_order_relaxed);
}

void metric_set(enum metric_gauge g, int64_t value)
{
    atomic_store_explicit(&gauged[g], value, memory_order_relaxed);
}

static const int64_t *bounds_of(enum metric_histogram h)
{
    return histograms[h].unit == 1 ? skew_bounds : time_bounds;
}

void metric_observe(enum metric_histogram h, int64_t value)
{
    const int64_t *bounds = bounds_of(h);
    size_t i = 0;

    if (value < 0)
        value = 0;
    while (i < BOUNDS_N && value > bounds[i])
        i++;
    atomic_fetch_add_explicit(&observed[h].buckets[i], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&observed[h].sum, (uint64_t)value, memory_order_relaxed);
}

/* EVENTS_N: no place is left, which would be a bug of ours. */
static size_t place_of(const char *event)
{
    for (size_t i = 0; i < EVENTS_N; i++) {
        const char *here = atomic_load(&requests[i].event);
        if (!here && atomic_compare_exchange_strong(&requests[i].event, &here, event))
            return i;
        if (strcmp(here, event) == 0)
            return i;
    }
    return EVENTS_N;
}

void metric_request(const char *event, enum metric_profile profile, enum rc result, int64_t duration_us)
{
    size_t i = place_of(event);

    if (i < EVENTS_N && result < RC_COUNT)
        atomic_fetch_add_explicit(&requests[i].by_result[profile][result], 1, memory_order_relaxed);
    metric_observe(HISTOGRAM_request_seconds, duration_us);
}

/* --- the page --- */

static enum rc put_head(struct buf *out, const char *name, const char *help, const char *type)
{
    return buf_printf(out, "# HELP %s %s.\n# TYPE %s %s\n", name, help, name, type);
}

static enum rc put_histogram(struct buf *out, enum metric_histogram h)
{
    const int64_t *bounds = bounds_of(h);
    const double unit = (double)histograms[h].unit;
    uint64_t n = 0;

    TRY(put_head(out, histograms[h].name, histograms[h].help, "histogram"));
    for (size_t i = 0; i < BOUNDS_N; i++) {
        n += atomic_load(&observed[h].buckets[i]);
        TRY(buf_printf(out, "%s_bucket{le=\"%g\"} %llu\n", histograms[h].name, (double)bounds[i] / unit,
                       (unsigned long long)n));
    }
    n += atomic_load(&observed[h].buckets[BOUNDS_N]);
    return buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.6f\n%s_count %llu\n", histograms[h].name,
                      (unsigned long long)n, histograms[h].name, (double)atomic_load(&observed[h].sum) / unit,
                      histograms[h].name, (unsigned long long)n);
}

static enum rc put_requests(struct buf *out)
{
    TRY(put_head(out, "kerb_requests_total", "Decisions by kind, profile and true result", "counter"));
    for (size_t i = 0; i < EVENTS_N; i++) {
        const char *event = atomic_load(&requests[i].event);
        for (size_t p = 0; event && p < PROFILE_N; p++)
            for (enum rc rc = 0; rc < RC_COUNT; rc++) {
                uint64_t n = atomic_load(&requests[i].by_result[p][rc]);
                if (n > 0)
                    TRY(buf_printf(out, "kerb_requests_total{event=\"%s\",profile=\"%s\",result=\"%s\"} %llu\n", event,
                                   profile_words[p], rc_name(rc), (unsigned long long)n));
            }
    }
    return RC_OK;
}

enum rc metrics_text(const char *daemon, struct buf *out)
{
    TRY(put_head(out, "kerb_build_info", "Which program this is", "gauge"));
    TRY(buf_printf(out, "kerb_build_info{daemon=\"%s\",version=\"%s\"} 1\n", daemon, KERB_VERSION));
    TRY(put_requests(out));
    for (size_t i = 0; i < COUNT_N; i++) {
        TRY(put_head(out, counters[i].name, counters[i].help, "counter"));
        TRY(buf_printf(out, "%s %llu\n", counters[i].name, (unsigned long long)atomic_load(&counted[i])));
    }
    for (size_t i = 0; i < GAUGE_N; i++) {
        TRY(put_head(out, gauges[i].name, gauges[i].help, "gauge"));
        TRY(buf_printf(out, "%s %lld\n", gauges[i].name, (long long)atomic_load(&gauged[i])));
    }
    for (enum metric_histogram h = 0; h < HISTOGRAM_N; h++)
        TRY(put_histogram(out, h));
    return RC_OK;
}
