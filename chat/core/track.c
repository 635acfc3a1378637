/*
 * Which records of a sealed connection carried which pushes of the log.
 *
 * Records and pushes are numbered by different hands: records by the edge, one for whatever it seals, and pushes by the
 * log, also those that this connection is not sent. Both only rise, so "I have processed so many records" says up to
 * where its client knows the log. Numbers that follow each other are one run; a connection that is sent nothing has no
 * memory.
 */
#include <stdlib.h>
#include <string.h>

#include "chat/core/internal.h"

#define RUNS_FIRST 4

void track_start(struct chat_track *track, uint64_t number)
{
    *track = (struct chat_track){.number = number};
}

void track_done(struct chat_track *track)
{
    free(track->runs);
    *track = (struct chat_track){0};
}

static const struct chat_run *last_run(const struct chat_track *track)
{
    return track->runs_n ? &track->runs[track->runs_n - 1] : NULL;
}

/* The older half goes: from there on backwards nothing is known any more. */
static void forget_half(struct chat_track *track)
{
    uint32_t half = track->runs_n / 2;
    const struct chat_run *run = &track->runs[half - 1];

    track->seen = run->record + run->n;
    track->number = run->number + run->n - 1;
    track->runs_n -= half;
    memmove(track->runs, track->runs + half, track->runs_n * sizeof(*track->runs));
}

static struct chat_run *add_run(struct chat_track *track)
{
    if (track->runs_n == CHAT_RUNS_MAX)
        forget_half(track);
    if (track->runs_n == track->runs_cap) {
        uint32_t cap = track->runs_cap ? track->runs_cap * 2 : RUNS_FIRST;
        struct chat_run *runs = reallocarray(track->runs, cap, sizeof(*runs));
        if (!runs)
            abort();
        track->runs = runs;
        track->runs_cap = cap;
    }
    return &track->runs[track->runs_n++];
}

void chat_sent(struct chat_conn *conn, uint64_t number, uint64_t record)
{
    struct chat_track *track = conn->resumable ? &conn->resumable->track : NULL;

    if (!track || track->has_gap)
        return;
    struct chat_run *run = track->runs_n ? &track->runs[track->runs_n - 1] : NULL;
    if (run && run->record + run->n == record && run->number + run->n == number)
        run->n++;
    else
        *add_run(track) = (struct chat_run){.record = record, .number = number, .n = 1};
}

/* Its client reads the history instead, and may not have done so yet when the connection drops. */
void chat_left_out(struct chat_conn *conn)
{
    if (!conn->resumable)
        return;
    track_done(&conn->resumable->track);
    conn->resumable->track.has_gap = true;
}

bool track_number(const struct chat_track *track, uint64_t seen, uint64_t *ret)
{
    const struct chat_run *run = last_run(track);

    if (track->has_gap || seen < track->seen)
        return false;
    while (run && run->record >= seen)
        run = run == track->runs ? NULL : run - 1;
    *ret = track->number;
    if (run)
        *ret = run->number + (seen - run->record < run->n ? seen - run->record : run->n) - 1;
    return true;
}
