/* A user's own store on the server: names and JSON values, sealed by the store. */
#include "chat/core/internal.h"

#include <string.h>

static struct chat_job *data_job(const struct call *c, enum chat_job_kind kind)
{
    struct chat_job *job = job_new(kind);
    memcpy(job->who, c->user->client_id, ID_LEN);
    must(buf_add(&job->key, c->req->key));
    must(buf_add(&job->label, c->req->label));
    job->conn = c->conn->serial;
    return job;
}

void cmd_save_data(const struct call *c)
{
    struct chat_job *job = data_job(c, JOB_SAVE_DATA);
    must(buf_add(&job->value, c->req->data));
    job->data_max = c->chat->env.limits.user_data_bytes;
    act_job(c->chat, job);
}

void done_save_data(struct chat *chat, struct chat_job *job)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);

    if (job->rc == RC_OK)
        say_ack(chat, conn, CMD_SAVE_DATA, buf_slice(&job->label), NULL);
    else
        say_error(chat, conn, CMD_SAVE_DATA, buf_slice(&job->label),
                  job->rc == RC_LIMIT ? CODE_LIMIT : code_of_failure(job->rc), slice_of(NULL, 0));
}

void cmd_get_data(const struct call *c)
{
    act_job(c->chat, data_job(c, JOB_LOAD_DATA));
}

void done_load_data(struct chat *chat, struct chat_job *job)
{
    struct chat_conn *conn = conn_by_serial(chat, job->conn);

    if (!conn)
        return;
    if (job->rc != RC_OK) {
        say_error(chat, conn, CMD_GET_DATA, buf_slice(&job->label), code_of_failure(job->rc), slice_of(NULL, 0));
        return;
    }
    struct chat_push *push = push_new(chat, PUSH_DATA);
    push->request = CMD_GET_DATA;
    push->label = arena_copy(&chat->arena, label_for(conn, buf_slice(&job->label)));
    push->key = arena_copy(&chat->arena, buf_slice(&job->key));
    struct chat_pair *pairs = arena_get(&chat->arena, (job->pairs_n + 1) * sizeof(*pairs));
    size_t bytes = 0;
    for (size_t i = 0; i < job->pairs_n; i++) {
        struct slice key = arena_copy(&chat->arena, buf_slice(&job->pairs[i].key));
        struct slice value = arena_copy(&chat->arena, buf_slice(&job->pairs[i].value));
        pairs[i].key = (struct buf){.p = (uint8_t *)(uintptr_t)key.p, .n = key.n};
        pairs[i].value = (struct buf){.p = (uint8_t *)(uintptr_t)value.p, .n = value.n};
        bytes += value.n;
    }
    flow_owe(chat, conn, bytes / CHAT_REPLY_BYTES);
    push->pairs = pairs;
    push->pairs_n = job->pairs_n;
    act_send(chat, conn, push);
}
