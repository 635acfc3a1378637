/*
 * Metrics: counters, gauges and histograms of this process, as Prometheus text.
 *
 * One table names them all; /metrics prints it, docs and alert rules are checked against it. Never a label that names a
 * user, a room or an address. Counting is one atomic addition. Thread: any.
 *
 * Source: Prometheus text exposition format 0.0.4.
 */
#ifndef KERB_SERVICE_METRICS_H
#define KERB_SERVICE_METRICS_H

#include "shared/base/buf.h"

/* clang-format off */
/* C: counters, G: gauges (name, help) */
#define METRICS_COUNTERS(C)                                                                              \
    C(replays,            "Requests, authenticators and messages that were refused as seen before")       \
    C(throttled_held,     "Tries that were answered like a wrong secret because of earlier wrong ones")   \
    C(throttled_flooded,  "Requests that were refused because their network had too many wrong tries")    \
    C(messages,           "Messages that were committed")                                                 \
    C(deliveries,         "Pushes that were sealed for a connection")                                     \
    C(lagged,             "Rooms of which a slow reader was told to read the history instead")            \
    C(dropped,            "Pushes that a slow reader can do without, and that were left out")              \
    C(slow_readers,       "Connections that were closed because they did not read")                        \
    C(resumed,            "Connections that were told all that they had missed")                         \
    C(not_resumed,        "Connections that asked for it, and have to read the history")

#define METRICS_GAUGES(G)                                                                                \
    G(connections,        "Open connections")                                                             \
    G(connections_authed, "Logged-in connections")                                                        \
    G(rooms_open,         "Rooms that can be read now")                                                   \
    G(rooms_closed,       "Sealed rooms that wait for their quorum")                                      \
    G(store_jobs,         "Jobs at the store")                                                            \
    G(store_bytes,        "Bytes of what waits to be stored")                                              \
    G(store_failing,      "1 while the disk does not take what clients send")                             \
    G(store_log_bytes,    "Bytes of the database's write-ahead log")                                      \
    G(reading_paused,     "1 while clients are not read because the store is behind")                     \
    G(queue_bytes,        "Bytes that wait for slow readers")                                             \
    G(replay_entries,     "Remembered requests and authenticators")                                       \
    G(gate_buckets,       "Buckets of the throttle")                                                      \
    G(key_age_seconds,    "Age of the newest key that tickets are sealed or opened with")                 \
    G(master_key_age_seconds, "Age of the master key that seals now")                                     \
    G(own_key_age_seconds, "Age of the oldest key in use of the AS's own services")                       \
    G(feed_lag_seconds,   "Seconds since the feed of epochs was last heard; 0 where there is none")       \
    G(audit_healthy,      "1 while the audit log can be written")                                         \
    G(start_time_seconds, "When the process started, Unix time")

/* Histograms (name, help, upper bounds in the unit that is added: microseconds or seconds; shown in seconds) */
#define METRICS_HISTOGRAMS(H)                                                                            \
    H(request_seconds,     "Time that a request took",                    1000000)                        \
    H(commit_seconds,      "Time that a transaction of the database took",  1000000)                       \
    H(client_skew_seconds, "How far clients' clocks were off, either way", 1)
/* clang-format on */

enum metric_counter {
#define C(name, help) COUNT_##name,
    METRICS_COUNTERS(C)
#undef C
        COUNT_N
};

enum metric_gauge {
#define G(name, help) GAUGE_##name,
    METRICS_GAUGES(G)
#undef G
        GAUGE_N
};

enum metric_histogram {
#define H(name, help, unit) HISTOGRAM_##name,
    METRICS_HISTOGRAMS(H)
#undef H
        HISTOGRAM_N
};

enum metric_profile { PROFILE_ANY, PROFILE_IS_CLASSIC, PROFILE_IS_SEALED, PROFILE_N };

void metric_count(enum metric_counter c, uint64_t n);
void metric_set(enum metric_gauge g, int64_t value);

/* value: microseconds for the two times, seconds for the skew. */
void metric_observe(enum metric_histogram h, int64_t value);

/* One decision: kerb_requests_total{event,profile,result}, and its duration. event: a word of ours that lives on. */
void metric_request(const char *event, enum metric_profile profile, enum rc result, int64_t duration_us);

/* The whole page. daemon and version stand in kerb_build_info. Errors: NO_MEMORY. */
MUST enum rc metrics_text(const char *daemon, struct buf *out);

#endif
