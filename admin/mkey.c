/*
 * kerbadm mkey ...: roll-over of a daemon's master key, while it runs.
 *
 * add and use change the key file alone; the daemons follow within a second. rewrap seals anew, in small transactions;
 * interrupted, it goes on where it was, because each row says which version it lies under. purge looks once more, and
 * holds the database's write lock while it removes, so that nobody seals under a version that is going.
 */
#include "admin/mkey.h"
#include "admin/audit.h"

#include <signal.h>
#include <string.h>

#include "shared/service/ops.h"

#define HEAD_MAX 4096 /* bytes of a file that holds an audit log's end */
#define SETTLE_S 10   /* what was sealed before a newer version was used has reached the database by then */

const char *const mkey_daemons[MKEY_DAEMONS] = {"as", "tgs", "chat"};

/* --- the rows --- */

void mkey_rows_done(struct mkey_rows *r)
{
    as_store_close(r->as);
    tgs_store_close(r->tgs);
    chat_rows_done(&r->chat);
    *r = (struct mkey_rows){0};
}

static enum rc open_chat(struct admin *a, enum db_mode mode, struct mkey_rows *r)
{
    TRY(admin_unseal(a, "chat"));
    enum rc rc = chat_rows_open(&a->conf, mode, &r->chat);

    if (rc == RC_NOT_FOUND) /* it has never run: nothing is sealed */
        return RC_OK;
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s/chat: %s", a->conf.realm_state, rc_text(rc));
    r->db = chat_rows_sealed(r->chat);
    return RC_OK;
}

enum rc mkey_rows_open(struct admin *a, const char *daemon, enum db_mode mode, struct mkey_rows *ret)
{
    *ret = (struct mkey_rows){0};
    if (strcmp(daemon, "chat") == 0)
        return open_chat(a, mode, ret);
    if (strcmp(daemon, "as") == 0) {
        TRY(admin_open_as(a, mode, &ret->as));
        ret->db = as_store_sealed(ret->as);
        return RC_OK;
    }
    TRY(admin_open_tgs(a, mode, &ret->tgs));
    ret->db = tgs_store_sealed(ret->tgs);
    return RC_OK;
}

enum rc mkey_count(const struct mkey_rows *r, struct sealed_counts *ret)
{
    *ret = (struct sealed_counts){0};
    return sealed_count(&r->db, ret);
}

/* --- what each command starts with --- */

static enum rc begin(struct admin *a, struct master_place *ret)
{
    TRY(admin_daemon(a, a->arg));
    TRY(admin_load(a));
    TRY(master_place_of(&a->conf, a->arg, ret));
    TRY(admin_lock(a));
    return admin_unseal(a, a->arg);
}

static enum rc tell(struct admin *a, enum rc rc, const struct master_place *place)
{
    if (rc == RC_OK || a->has_told)
        return rc;
    return admin_fail(a, rc, "the master key of %s in %s: %s", place->daemon, place->dir, rc_text(rc));
}

/* --- list --- */

static enum rc list_text(struct admin *a, const struct master_list *l, const struct sealed_counts *counts,
                         uint32_t current)
{
    AUTO(buf_done) struct buf out = {0};
    char from[CLASSIC_TIME_LEN + 1];

    TRY(buf_text(&out, " kvno        rows  state     from     used from (UTC)\n"));
    for (size_t i = 0; i < l->n; i++) {
        const struct master_version *v = &l->version[i];
        const char *state = v->kvno == current ? "seals" : v->kvno > current ? "next" : "old";
        time_format_classic(v->valid_from, from);
        TRY(buf_printf(&out, "%5u  %10llu  %-8s  %-7s  %s\n", v->kvno,
                       (unsigned long long)sealed_counts_of(counts, v->kvno), state, v->is_shared ? "shares" : "file",
                       v->valid_from >= MASTER_UNUSED ? "-" : from));
    }
    return admin_print(a, &out);
}

static enum rc list_json(struct admin *a, const struct master_list *l, const struct sealed_counts *counts,
                         uint32_t current)
{
    AUTO(buf_done) struct buf out = {0};
    struct jw w = jw_start(&out);

    jw_open(&w, NULL, '{');
    jw_text(&w, "daemon", slice_text(a->arg));
    jw_int(&w, "current", current);
    jw_open(&w, "versions", '[');
    for (size_t i = 0; i < l->n; i++) {
        const struct master_version *v = &l->version[i];
        jw_open(&w, NULL, '{');
        jw_int(&w, "kvno", v->kvno);
        if (v->valid_from < MASTER_UNUSED)
            jw_int(&w, "valid_from", v->valid_from);
        jw_int(&w, "rows", (int64_t)sealed_counts_of(counts, v->kvno));
        jw_text(&w, "source", slice_text(v->is_shared ? "shares" : "file"));
        jw_close(&w, '}');
    }
    jw_close(&w, ']');
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

enum rc cmd_mkey_list(struct admin *a)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(mkey_rows_done) struct mkey_rows rows = {0};
    struct master_list l;
    struct sealed_counts counts;

    TRY(begin(a, &place));
    TRY(tell(a, master_list(&place, &l), &place));
    TRY(mkey_rows_open(a, a->arg, DB_READ, &rows));
    TRY(tell(a, mkey_count(&rows, &counts), &place));
    uint32_t current = master_list_current(&l, clock_s());
    return a->opt[OPT_JSON] ? list_json(a, &l, &counts, current) : list_text(a, &l, &counts, current);
}

/* --- add, use --- */

static enum rc show_version(struct admin *a, uint32_t kvno, const char *sentence)
{
    AUTO(buf_done) struct buf out = {0};

    if (!a->opt[OPT_JSON]) {
        TRY(buf_printf(&out, "%s: version %u %s\n", a->arg, kvno, sentence));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "daemon", slice_text(a->arg));
    jw_int(&w, "kvno", kvno);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

enum rc cmd_mkey_add(struct admin *a)
{
    AUTO(master_place_done) struct master_place place = {0};
    struct master_list l;
    uint32_t kvno;

    TRY(begin(a, &place));
    TRY(tell(a, master_list(&place, &l), &place));
    if (l.n && l.version[l.n - 1].valid_from >= MASTER_UNUSED)
        return admin_fail(a, RC_EXISTS, "version %u is there already and not used yet ('mkey use')",
                          l.version[l.n - 1].kvno);
    TRY(tell(a, master_add(&place, &kvno), &place));
    return show_version(a, kvno, "is there; back up the key before you use it ('mkey use')");
}

enum rc cmd_mkey_use(struct admin *a)
{
    AUTO(master_place_done) struct master_place place = {0};
    struct master_list l;

    TRY(begin(a, &place));
    TRY(tell(a, master_list(&place, &l), &place));
    uint32_t newest = l.n ? l.version[l.n - 1].kvno : 0;
    if (newest == master_list_current(&l, clock_s()))
        return admin_fail(a, RC_EXISTS, "version %u seals already and there is no newer one ('mkey add')", newest);
    TRY(tell(a, master_use(&place, newest, clock_s()), &place));
    return show_version(a, newest, "seals from now on; 'mkey rewrap' seals the rest anew");
}

/* --- rewrap --- */

static volatile sig_atomic_t is_interrupted;

static void interrupt(int number)
{
    (void)number;
    is_interrupted = 1;
}

static bool may_go_on(void *ctx)
{
    (void)ctx;
    return !is_interrupted;
}

static enum rc show_rewrap(struct admin *a, uint32_t kvno, uint64_t done, uint64_t bad)
{
    AUTO(buf_done) struct buf out = {0};

    if (!a->opt[OPT_JSON]) {
        TRY(buf_printf(&out, "%s: %llu rows sealed anew under version %u\n", a->arg, (unsigned long long)done, kvno));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "daemon", slice_text(a->arg));
    jw_int(&w, "kvno", kvno);
    jw_int(&w, "rows", (int64_t)done);
    jw_int(&w, "bad", (int64_t)bad);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

enum rc cmd_mkey_rewrap(struct admin *a)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(mkey_rows_done) struct mkey_rows rows = {0};
    struct sigaction action = {.sa_handler = interrupt};
    uint64_t done = 0, bad = 0;

    TRY(begin(a, &place));
    TRY(mkey_rows_open(a, a->arg, DB_WRITE, &rows));
    (void)sigaction(SIGINT, &action, NULL);
    (void)sigaction(SIGTERM, &action, NULL);
    enum rc rc = sealed_rewrap(&rows.db, may_go_on, NULL, &done, &bad);
    if (rc == RC_STOPPED)
        return admin_fail(a, rc, "stopped after %llu rows; the same command goes on from there",
                          (unsigned long long)done);
    TRY(tell(a, rc, &place));
    TRY(tell(a, audit_rewrap(a, a->arg), &place));
    TRY(show_rewrap(a, rows.db.master ? master_kvno(rows.db.master) : 0, done, bad));
    if (bad)
        return admin_fail(a, RC_BAD_ROW, "%llu rows do not open and were left as they are", (unsigned long long)bad);
    return RC_OK;
}

/* --- purge --- */

static const struct master_version *version_of(const struct master_list *l, uint32_t kvno)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->version[i].kvno == kvno)
            return &l->version[i];
    return NULL;
}

/* The ends of the audit logs in that folder: a running daemon puts its own under the new version, rewrap the others. */
static enum rc count_heads(struct admin *a, struct sealed_counts *counts)
{
    for (size_t i = 0; i < audit_places_n; i++) {
        AUTO(str_done) char *log = NULL;
        AUTO(buf_done) struct buf path = {0}, head = {0};
        uint32_t kvno;
        if (strcmp(audit_places[i].folder, a->arg) != 0)
            continue;
        TRY(ops_path(&a->conf, audit_places[i].folder, audit_places[i].file, &log));
        TRY(buf_printf(&path, "%s.head", log));
        const char *name = buf_cstr(&path);
        if (!name)
            return RC_NO_MEMORY;
        enum rc rc = file_read(name, HEAD_MAX, FILE_PRIVATE, &head);
        if (rc == RC_NOT_FOUND)
            continue;
        TRY(rc);
        if (envelope_kvno(buf_slice(&head), &kvno) == RC_OK)
            TRY(sealed_count_add(counts, kvno, 1));
    }
    return RC_OK;
}

/* Nothing may lie under a version that goes. */
static enum rc check_free(struct admin *a, const struct mkey_rows *rows, uint32_t current)
{
    struct sealed_counts counts;

    enum rc rc = mkey_count(rows, &counts);
    if (rc == RC_OK)
        rc = count_heads(a, &counts);
    if (rc != RC_OK)
        return admin_fail(a, rc, "%s: the rows cannot be counted: %s", a->arg, rc_text(rc));
    for (size_t i = 0; i < counts.n; i++)
        if (counts.version[i].kvno < current)
            return admin_fail(a, RC_EXISTS,
                              "%llu rows of %s still lie under version %u ('mkey rewrap'); nothing was changed",
                              (unsigned long long)counts.version[i].rows, a->arg, counts.version[i].kvno);
    return RC_OK;
}

static enum rc purge(struct admin *a, const struct master_place *place, const struct mkey_rows *rows, uint32_t current)
{
    TRY(check_free(a, rows, current));
    return tell(a, master_purge(place, current), place);
}

/* Under the write lock: whoever seals does it in a transaction, and looks at the key file in there. */
static enum rc purge_locked(struct admin *a, const struct master_place *place, const struct mkey_rows *rows,
                            uint32_t current)
{
    if (!rows->db.db)
        return purge(a, place, rows, current);
    TRY(db_begin(rows->db.db));
    enum rc rc = purge(a, place, rows, current);
    db_rollback(rows->db.db);
    return rc;
}

enum rc cmd_mkey_purge(struct admin *a)
{
    AUTO(master_place_done) struct master_place place = {0};
    AUTO(mkey_rows_done) struct mkey_rows rows = {0};
    struct master_list l;

    TRY(begin(a, &place));
    TRY(tell(a, master_list(&place, &l), &place));
    int64_t now_s = clock_s();
    uint32_t current = master_list_current(&l, now_s);
    const struct master_version *v = version_of(&l, current);
    if (!v || l.version[0].kvno == current)
        return admin_fail(a, RC_NOT_FOUND, "there is no version older than %u", current);
    if (now_s - v->valid_from < SETTLE_S)
        return admin_fail(a, RC_LIMIT, "version %u is in use for less than %d seconds: try again", current, SETTLE_S);
    TRY(mkey_rows_open(a, a->arg, DB_WRITE, &rows));
    TRY(purge_locked(a, &place, &rows, current));
    return show_version(a, current, "is the oldest now");
}
