/* Jobs: made, filled, wiped. */
#include "chat/core/job.h"

#include <stdlib.h>

struct chat_job *chat_job_new(enum chat_job_kind kind)
{
    struct chat_job *job = calloc(1, sizeof(*job));
    if (job)
        job->kind = kind;
    return job;
}

void chat_row_done(struct chat_message_row *row)
{
    if (row->revised)
        buf_done(&row->revised->box);
    free(row->revised);
    row->revised = NULL;
    buf_done(&row->box);
}

struct chat_message_row *chat_row_revised(struct chat_message_row *row, uint64_t target)
{
    row->target = target;
    row->revised = calloc(1, sizeof(*row->revised));
    if (row->revised)
        row->revised->seq = target;
    return row->revised;
}

size_t chat_job_size(const struct chat_job *job)
{
    size_t n = sizeof(*job) + job->members_n * sizeof(*job->members) + job->message.box.n + job->text.n + job->was.n +
               job->value.n;

    if (job->message.revised)
        n += sizeof(*job->message.revised) + job->message.revised->box.n;
    for (size_t i = 0; i < job->members_n; i++)
        n += job->members[i].share.n;
    return n;
}

void chat_job_clear(struct chat_job *job)
{
    for (size_t i = 0; i < job->rows_n; i++)
        chat_row_done(&job->rows[i]);
    for (size_t i = 0; i < job->pairs_n; i++) {
        buf_done(&job->pairs[i].key);
        buf_done(&job->pairs[i].value);
    }
    free(job->rows);
    free(job->pairs);
    job->rows = NULL;
    job->pairs = NULL;
    job->rows_n = job->pairs_n = 0;
}

void chat_job_free(struct chat_job *job)
{
    if (!job)
        return;
    for (size_t i = 0; i < job->members_n; i++)
        buf_done(&job->members[i].share);
    free(job->members);
    free(job->seqs);
    chat_job_clear(job);
    chat_row_done(&job->message);
    buf_done(&job->cid);
    buf_done(&job->key);
    buf_done(&job->value);
    buf_done(&job->label);
    buf_done(&job->text);
    buf_done(&job->was);
    wipe(job, sizeof(*job));
    free(job);
}

/* Room for one more element behind n, doubling; NULL when out of memory. */
static void *grown(void *list, size_t n, size_t size)
{
    if (n & (n - 1)) /* not at a power of two: there is room */
        return list;
    return reallocarray(list, n ? n * 2 : 1, size);
}

bool chat_job_add_seq(struct chat_job *job, uint64_t seq)
{
    uint64_t *seqs = grown(job->seqs, job->seqs_n, sizeof(*seqs));

    if (!seqs)
        return false;
    job->seqs = seqs;
    seqs[job->seqs_n++] = seq;
    return true;
}

struct chat_message_row *chat_job_add_row(struct chat_job *job)
{
    struct chat_message_row *rows = grown(job->rows, job->rows_n, sizeof(*rows));
    if (!rows)
        return NULL;
    job->rows = rows;
    rows[job->rows_n] = (struct chat_message_row){0};
    return &rows[job->rows_n++];
}

struct chat_pair *chat_job_add_pair(struct chat_job *job)
{
    struct chat_pair *pairs = grown(job->pairs, job->pairs_n, sizeof(*pairs));
    if (!pairs)
        return NULL;
    job->pairs = pairs;
    pairs[job->pairs_n] = (struct chat_pair){0};
    return &pairs[job->pairs_n++];
}
