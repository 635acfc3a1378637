/* The audit log's writer: lines are chained and gathered under a lock, written by a thread. */
#include "shared/service/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/base/base64.h"
#include "shared/base/file.h"
#include "shared/service/audit_chain.h"

#define TAIL_MAX     ((off_t)2 * AUDIT_LINE_MAX) /* bytes of the file's end in which its last line must be */
#define LOCK_WAIT_MS 5000                        /* that another writer may take to end */
#define LOCK_STEP_MS 20
#define HEAD_EVERY   10                        /* turns of the thread */
#define GATHERED_MAX ((size_t)8 * 1024 * 1024) /* bytes that wait for a disk that does not take them */

struct audit {
    struct audit_options options;
    char *path;
    int fd;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock; /* head, gathered, is_stopping, health */
    pthread_cond_t stop;
    struct audit_head head; /* behind the last line gathered */
    struct buf gathered;
    uint64_t lost; /* lines that found no room */
    bool is_stopping;
    enum rc health;
    unsigned idle_n;    /* of the thread: turns without a line, */
    uint32_t head_kvno; /* and the version that the head is under; 0: not known */
};

/* --- lines --- */

static void put_time(struct jw *json)
{
    char text[CLASSIC_TIME_LEN + sizeof ".000Z"] = "";
    int64_t ms = clock_ms();

    time_format_classic(ms / 1000, text);
    text[10] = 'T';
    text[CLASSIC_TIME_LEN] = '.';
    text[CLASSIC_TIME_LEN + 1] = (char)('0' + ms / 100 % 10);
    text[CLASSIC_TIME_LEN + 2] = (char)('0' + ms / 10 % 10);
    text[CLASSIC_TIME_LEN + 3] = (char)('0' + ms % 10);
    text[CLASSIC_TIME_LEN + 4] = 'Z';
    jw_text(json, "time", slice_text(text));
}

void audit_begin(struct audit *a, struct audit_line *l, const char *event, const char *op_id)
{
    *l = (struct audit_line){0};
    l->json = jw_start(&l->text);
    l->json.rc = buf_reserve(&l->text, 512);
    jw_open(&l->json, NULL, '{');
    put_time(&l->json);
    audit_str(l, "daemon", a->options.daemon);
    audit_str(l, "event", event);
    audit_str(l, "op_id", op_id);
}

void audit_slice(struct audit_line *l, const char *name, struct slice utf8)
{
    if (utf8.n == 0)
        return;
    if (utf8_valid(utf8) && utf8.n <= NAME_MAX_BYTES)
        jw_text(&l->json, name, utf8);
    else
        jw_text(&l->json, name, slice_text("?")); /* no name of ours */
}

void audit_str(struct audit_line *l, const char *name, const char *text)
{
    if (text && text[0])
        audit_slice(l, name, slice_text(text));
}

void audit_id(struct audit_line *l, const char *name, const uint8_t id[ID_LEN])
{
    static const uint8_t none[ID_LEN];

    if (memcmp(id, none, ID_LEN) != 0)
        jw_base64url(&l->json, name, slice_of(id, ID_LEN));
}

void audit_num(struct audit_line *l, const char *name, int64_t value)
{
    jw_int(&l->json, name, value);
}

void audit_rc(struct audit_line *l, enum rc rc)
{
    audit_str(l, "result", rc_name(rc));
    if (rc != RC_OK)
        audit_str(l, "reason", rc_text(rc));
}

/* Numbers, chains and gathers one line. Called with the lock held. */
static enum rc gather(struct audit *a, struct audit_line *l)
{
    struct audit_head next = a->head;
    size_t before = a->gathered.n;

    jw_int(&l->json, "n", (int64_t)a->head.n + 1);
    TRY(jw_end(&l->json));
    if (a->gathered.n + AUDIT_LINE_MAX > GATHERED_MAX || l->text.n > AUDIT_LINE_MAX - AUDIT_HASH_TEXT - 16)
        return RC_LIMIT;
    TRY(audit_chain(&next, buf_slice(&l->text)));
    enum rc rc = buf_add(&a->gathered, buf_slice(&l->text));
    if (rc == RC_OK)
        rc = buf_text(&a->gathered, AUDIT_HASH_LEAD);
    if (rc == RC_OK)
        rc = base64url_encode(SLICE(next.hash), &a->gathered);
    if (rc == RC_OK)
        rc = buf_text(&a->gathered, AUDIT_HASH_TAIL);
    if (rc != RC_OK) {
        a->gathered.n = before;
        return rc;
    }
    a->head = next;
    return RC_OK;
}

void audit_end(struct audit *a, struct audit_line *l)
{
    pthread_mutex_lock(&a->lock);
    if (gather(a, l) != RC_OK) {
        a->lost++;
        a->health = RC_IO;
    }
    pthread_mutex_unlock(&a->lock);
    buf_done(&l->text);
}

enum rc audit_health(struct audit *a)
{
    pthread_mutex_lock(&a->lock);
    enum rc rc = a->health;
    pthread_mutex_unlock(&a->lock);
    return rc;
}

/* --- writing --- */

/* What could not be written stays in front of what comes. */
static enum rc write_some(int fd, struct buf *text)
{
    size_t at = 0;

    while (at < text->n) {
        ssize_t n = write(fd, text->p + at, text->n - at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        at += (size_t)n;
    }
    if (at > 0)
        memmove(text->p, text->p + at, text->n - at);
    text->n -= at;
    return text->n == 0 ? RC_OK : RC_IO;
}

/* Puts back what the disk did not take, before what was gathered meanwhile. */
static void put_back(struct audit *a, struct buf *rest)
{
    if (buf_add(rest, buf_slice(&a->gathered)) != RC_OK)
        return;
    buf_done(&a->gathered);
    a->gathered = buf_take(rest);
}

/* Without lines the head is looked at once in a while: is it under the master key that seals now? */
static bool head_is_due(struct audit *a)
{
    AUTO(envelope_key_done) struct envelope_key key = {0};

    if (++a->idle_n % HEAD_EVERY != 0)
        return false;
    return a->options.key(a->options.key_ctx, 0, &key) == RC_OK && key.kvno != a->head_kvno;
}

static void flush(struct audit *a)
{
    AUTO(buf_done) struct buf text = {0};

    pthread_mutex_lock(&a->lock);
    text = buf_take(&a->gathered);
    struct audit_head head = a->head;
    uint64_t lost = a->lost;
    bool is_well = a->health == RC_OK; /* else the head may be missing behind lines that were written */
    pthread_mutex_unlock(&a->lock);
    if (text.n == 0 && is_well && !head_is_due(a))
        return;
    enum rc rc = write_some(a->fd, &text);
    if (rc == RC_OK && fdatasync(a->fd) != 0) /* before the head that vouches for it */
        rc = RC_IO;
    if (rc == RC_OK)
        rc = audit_head_write(&a->options, &head, &a->head_kvno);
    pthread_mutex_lock(&a->lock);
    a->health = rc != RC_OK || lost != a->lost ? RC_IO : RC_OK;
    if (text.n > 0)
        put_back(a, &text);
    pthread_mutex_unlock(&a->lock);
}

static bool wait_or_stop(struct audit *a)
{
    struct timespec until;

    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += AUDIT_FLUSH_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&a->lock);
    if (!a->is_stopping)
        (void)pthread_cond_timedwait(&a->stop, &a->lock, &until);
    bool is_stopping = a->is_stopping;
    pthread_mutex_unlock(&a->lock);
    return is_stopping;
}

static void *run(void *arg)
{
    struct audit *a = arg;

    while (!wait_or_stop(a))
        flush(a);
    flush(a);
    return NULL;
}

/* --- opening: where the file stands --- */

/* The last whole line in the file's end, and how many bytes of half a line are behind it. */
static enum rc find_last(struct slice tail, bool is_all, struct slice *ret_line, size_t *ret_torn)
{
    size_t end = tail.n;

    while (end > 0 && tail.p[end - 1] != '\n')
        end--;
    *ret_torn = tail.n - end;
    *ret_line = slice_of(NULL, 0);
    if (end == 0)
        return is_all ? RC_OK : RC_MALFORMED;
    size_t start = end - 1;
    while (start > 0 && tail.p[start - 1] != '\n')
        start--;
    if (start == 0 && !is_all)
        return RC_MALFORMED;
    *ret_line = slice_of(tail.p + start, end - 1 - start);
    return RC_OK;
}

static enum rc read_tail(int fd, struct buf *ret, bool *ret_is_all)
{
    struct stat st;

    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return RC_IO;
    if (st.st_mode & (S_IRWXG | S_IRWXO))
        return RC_UNSAFE_FILE;
    size_t n = (size_t)(st.st_size < TAIL_MAX ? st.st_size : TAIL_MAX);
    TRY(buf_reserve(ret, n));
    if (pread(fd, ret->p, n, st.st_size - (off_t)n) != (ssize_t)n)
        return RC_IO;
    ret->n = n;
    *ret_is_all = st.st_size <= TAIL_MAX;
    return RC_OK;
}

/* The number at the end of a line's body: ...,"n":17 */
static enum rc line_number(struct slice body, uint64_t *ret)
{
    static const char lead[] = "\"n\":";
    size_t at = body.n;

    while (at > 0 && body.p[at - 1] >= '0' && body.p[at - 1] <= '9')
        at--;
    if (at < sizeof(lead) - 1 || memcmp(body.p + at - (sizeof(lead) - 1), lead, sizeof(lead) - 1) != 0)
        return RC_MALFORMED;
    return parse_u64(slice_of(body.p + at, body.n - at), INT64_MAX, ret);
}

/* Where the start found the log. */
struct found {
    struct audit_head head; /* what the head says */
    enum rc rc;             /* of reading it */
    uint64_t last;          /* number of the last line */
    size_t torn;            /* bytes of half a line */
};

static const char *broken(const struct found *f, const struct audit_head *last)
{
    if (f->rc == RC_MODIFIED || f->rc == RC_NO_KVNO)
        return "the head beside the log does not open";
    if (f->rc == RC_NOT_FOUND)
        return f->last > 0 ? "there is no head beside the log" : NULL;
    if (f->last < f->head.n)
        return "lines were cut off";
    if (f->last == f->head.n && !ct_equal(f->head.hash, last->hash, SHA256_LEN))
        return "the log was written anew";
    return NULL;
}

/* Behind a crash: half a line, and lines for which no head vouches. */
static void tell_resumed(struct audit *a, const struct found *f)
{
    struct audit_line l;
    uint64_t beyond = f->rc == RC_OK && f->last > f->head.n ? f->last - f->head.n : 0;

    if (f->torn == 0 && beyond == 0)
        return;
    audit_begin(a, &l, AUDIT_RESUMED, NULL);
    audit_num(&l, "torn_bytes", (int64_t)f->torn);
    audit_num(&l, "beyond_head", (int64_t)beyond);
    audit_end(a, &l);
}

static void tell_broken(struct audit *a, const struct found *f, const char *what)
{
    struct audit_line l;

    audit_begin(a, &l, AUDIT_BROKEN, NULL);
    audit_str(&l, "what", what);
    audit_num(&l, "expected", f->rc == RC_OK ? (int64_t)f->head.n : -1);
    audit_num(&l, "found", (int64_t)f->last);
    audit_end(a, &l);
    log_note(LOG_ERROR, AUDIT_BROKEN, "%s: %s", a->path, what);
}

/* Goes on behind the last whole line. What came before it is audit_verify()'s business. */
static enum rc resume(struct audit *a, struct found *f)
{
    AUTO(buf_done) struct buf tail = {0};
    struct slice line, body;
    bool is_all;

    TRY(read_tail(a->fd, &tail, &is_all));
    TRY(find_last(buf_slice(&tail), is_all, &line, &f->torn));
    if (line.n > 0) {
        TRY(audit_line_split(line, &body, a->head.hash));
        TRY(line_number(body, &a->head.n));
    }
    f->last = a->head.n;
    const char *what = broken(f, &a->head);
    if (f->torn > 0)
        TRY(buf_byte(&a->gathered, '\n'));
    tell_resumed(a, f);
    if (what)
        tell_broken(a, f, what);
    return RC_OK;
}

static enum rc lock_file(int fd)
{
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOCK_STEP_MS) {
        if (waited_ms >= LOCK_WAIT_MS)
            return RC_IO;
        (void)usleep(LOCK_STEP_MS * 1000);
    }
    return RC_OK;
}

/* Run by root, the log belongs to whom its directory belongs. */
static enum rc give_to_owner(int fd, const char *path)
{
    struct stat st;

    if (geteuid() != 0)
        return RC_OK;
    AUTO(str_done) char *dir = slice_dup(slice_text(path));
    if (!dir)
        return RC_NO_MEMORY;
    return stat(dirname(dir), &st) == 0 && fchown(fd, st.st_uid, st.st_gid) == 0 ? RC_OK : RC_IO;
}

static enum rc open_file(struct audit *a)
{
    struct found found = {0};

    a->path = slice_dup(slice_text(a->options.path));
    if (!a->path)
        return RC_NO_MEMORY;
    a->options.path = a->path;
    a->fd = open(a->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (a->fd < 0)
        return RC_IO;
    TRY(give_to_owner(a->fd, a->path));
    TRY(lock_file(a->fd));
    found.rc = audit_head_read(&a->options, &found.head);
    if (found.rc != RC_OK && found.rc != RC_NOT_FOUND && found.rc != RC_MODIFIED && found.rc != RC_NO_KVNO)
        return found.rc;
    TRY(resume(a, &found));
    if (found.rc == RC_NOT_FOUND && found.last == 0) /* a crash behind the first lines must not look like a lost head */
        TRY(audit_head_write(&a->options, &(struct audit_head){0}, &a->head_kvno));
    return pthread_create(&a->thread, NULL, run, a) == 0 ? RC_OK : RC_IO;
}

static void audit_free(struct audit *a)
{
    if (a->fd >= 0)
        (void)close(a->fd);
    buf_done(&a->gathered);
    str_done(&a->path);
    pthread_cond_destroy(&a->stop);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

enum rc audit_open(const struct audit_options *options, struct audit **ret)
{
    struct audit *a = calloc(1, sizeof(*a));
    if (!a)
        return RC_NO_MEMORY;
    a->options = *options;
    a->fd = -1;
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->stop, NULL);
    enum rc rc = open_file(a);
    if (rc != RC_OK) {
        audit_free(a);
        return rc == RC_MALFORMED ? RC_MODIFIED : rc;
    }
    a->has_thread = true;
    *ret = a;
    return RC_OK;
}

void audit_close(struct audit *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->lock);
    a->is_stopping = true;
    pthread_cond_signal(&a->stop);
    pthread_mutex_unlock(&a->lock);
    pthread_join(a->thread, NULL);
    audit_free(a);
}
