/* The chain of the audit log and its head. */
#include "shared/service/audit_chain.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "shared/base/base64.h"
#include "shared/base/file.h"

#define HEAD_BYTES    (8 + SHA256_LEN)
#define HEAD_FILE_MAX 256

enum rc audit_chain(struct audit_head *head, struct slice body)
{
    const struct slice parts[] = {SLICE(head->hash), body};

    TRY(sha256_parts(parts, ARRAY_LEN(parts), head->hash));
    head->n++;
    return RC_OK;
}

static enum rc head_path(const struct audit_options *o, struct buf *out)
{
    TRY(buf_printf(out, "%s.head", o->path));
    return buf_cstr(out) ? RC_OK : RC_NO_MEMORY;
}

/* Bound to the realm and the daemon, so that the head of another log does not fit. */
static struct envelope_aad head_aad(const struct audit_options *o)
{
    return (struct envelope_aad){.realm = name_slice(&o->realm), .server = slice_text(o->daemon)};
}

enum rc audit_head_read(const struct audit_options *o, struct audit_head *ret)
{
    AUTO(buf_done) struct buf path = {0}, file = {0}, plain = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    struct envelope_aad aad = head_aad(o);
    uint32_t kvno;

    TRY(head_path(o, &path));
    TRY(file_read((const char *)path.p, HEAD_FILE_MAX, FILE_PRIVATE, &file));
    TRY(envelope_kvno(buf_slice(&file), &kvno));
    if (kvno == 0) /* we never wrote that */
        return RC_MODIFIED;
    TRY(o->key(o->key_ctx, kvno, &key));
    TRY(envelope_open(&key, &aad, buf_slice(&file), &plain));
    if (plain.n != HEAD_BYTES)
        return RC_MODIFIED;
    ret->n = get_u64be(plain.p);
    memcpy(ret->hash, plain.p + 8, SHA256_LEN);
    return RC_OK;
}

enum rc audit_head_write(const struct audit_options *o, const struct audit_head *head, uint32_t *ret_kvno)
{
    AUTO(buf_done) struct buf path = {0}, plain = {0}, sealed = {0};
    AUTO(envelope_key_done) struct envelope_key key = {0};
    struct envelope_aad aad = head_aad(o);

    TRY(head_path(o, &path));
    TRY(buf_u64be(&plain, head->n));
    TRY(buf_add(&plain, SLICE(head->hash)));
    TRY(o->key(o->key_ctx, 0, &key));
    TRY(envelope_seal(&key, &aad, buf_slice(&plain), &sealed));
    TRY(file_write_atomic((const char *)path.p, buf_slice(&sealed), 0600));
    *ret_kvno = key.kvno;
    return RC_OK;
}

enum rc audit_line_split(struct slice line, struct slice *ret_body, uint8_t ret_hash[SHA256_LEN])
{
    const size_t lead = sizeof(AUDIT_HASH_LEAD) - 1, tail = sizeof(AUDIT_HASH_TAIL) - 2; /* without the line end */

    if (line.n < lead + AUDIT_HASH_TEXT + tail)
        return RC_MALFORMED;
    size_t body_n = line.n - lead - AUDIT_HASH_TEXT - tail;
    struct slice text = slice_of(line.p + body_n + lead, AUDIT_HASH_TEXT);
    if (memcmp(line.p + body_n, AUDIT_HASH_LEAD, lead) != 0 ||
        memcmp(line.p + line.n - tail, AUDIT_HASH_TAIL, tail) != 0)
        return RC_MALFORMED;
    TRY(base64url_decode_exact(text, ret_hash, SHA256_LEN));
    *ret_body = slice_of(line.p, body_n);
    return RC_OK;
}

enum rc audit_reseal(const struct audit_options *options)
{
    struct audit_head head;
    uint32_t kvno;

    int fd = open(options->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? RC_OK : RC_IO;
    enum rc rc = RC_OK;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        rc = audit_head_read(options, &head);
        if (rc == RC_OK)
            rc = audit_head_write(options, &head, &kvno);
    }
    (void)close(fd);
    return rc == RC_NOT_FOUND ? RC_OK : rc;
}
