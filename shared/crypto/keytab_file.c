/* A keytab file that may change while a daemon runs: the newest good content, held by counting its users. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/crypto/key.h"

/* What a file looked like when it was last tried. All zero: it was not there. */
struct look {
    dev_t dev;
    ino_t ino;
    off_t size;
    struct timespec written, changed;
};

/* A keytab with the number of its holders. The newest one stays without holders, too. */
struct held {
    struct keytab *keytab;
    size_t holders;
    struct held *next; /* older ones that somebody still holds */
};

struct keytab_file {
    char *path;
    pthread_mutex_t lock;   /* guards the rest; never held while a file is read */
    pthread_mutex_t reload; /* one reader of the file at a time */
    struct held *newest;
    struct look look; /* guarded by reload */
};

static struct look look_at(const char *path)
{
    struct look look;
    struct stat st;

    memset(&look, 0, sizeof(look));
    if (stat(path, &st) == 0) {
        look.dev = st.st_dev;
        look.ino = st.st_ino;
        look.size = st.st_size;
        look.written = st.st_mtim;
        look.changed = st.st_ctim;
    }
    return look;
}

static bool look_same(const struct look *a, const struct look *b)
{
    return a->dev == b->dev && a->ino == b->ino && a->size == b->size && a->written.tv_sec == b->written.tv_sec &&
           a->written.tv_nsec == b->written.tv_nsec && a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

static void held_free(struct held *h)
{
    keytab_free(h->keytab);
    free(h);
}

/* Frees what is neither the newest nor held. Under the lock. */
static void drop_unheld(struct keytab_file *f)
{
    for (struct held **at = &f->newest->next; *at;) {
        struct held *old = *at;
        if (old->holders) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        held_free(old);
    }
}

static enum rc reload(struct keytab_file *f)
{
    struct keytab *keytab = NULL;

    TRY(keytab_load(f->path, &keytab));
    struct held *h = calloc(1, sizeof(*h));
    if (!h) {
        keytab_free(keytab);
        return RC_NO_MEMORY;
    }
    h->keytab = keytab;
    (void)pthread_mutex_lock(&f->lock);
    h->next = f->newest;
    f->newest = h;
    drop_unheld(f);
    (void)pthread_mutex_unlock(&f->lock);
    return RC_OK;
}

/* A short shortage may be over in a second; every other failure lasts until the file changes. */
static bool is_passing(enum rc rc)
{
    return rc == RC_NO_MEMORY || rc == RC_CRYPTO;
}

enum rc keytab_file_refresh(struct keytab_file *f, bool force, bool *ret_changed)
{
    enum rc rc = RC_OK;

    (void)pthread_mutex_lock(&f->reload);
    struct look now = look_at(f->path);
    bool changed = force || !look_same(&now, &f->look);
    if (changed) {
        rc = reload(f);
        if (!is_passing(rc))
            f->look = now;
    }
    (void)pthread_mutex_unlock(&f->reload);
    *ret_changed = changed && rc == RC_OK;
    return rc;
}

static struct keytab_file *file_new(const char *path)
{
    struct keytab_file *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->path = slice_dup(slice_text(path));
    if (!f->path || pthread_mutex_init(&f->lock, NULL) != 0) {
        str_done(&f->path);
        free(f);
        return NULL;
    }
    if (pthread_mutex_init(&f->reload, NULL) != 0) {
        (void)pthread_mutex_destroy(&f->lock);
        str_done(&f->path);
        free(f);
        return NULL;
    }
    return f;
}

enum rc keytab_file_open(const char *path, struct keytab_file **ret)
{
    bool changed;
    struct keytab_file *f = file_new(path);

    if (!f)
        return RC_NO_MEMORY;
    enum rc rc = keytab_file_refresh(f, true, &changed);
    if (rc != RC_OK) {
        keytab_file_close(f);
        return rc;
    }
    *ret = f;
    return RC_OK;
}

void keytab_file_close(struct keytab_file *f)
{
    if (!f)
        return;
    while (f->newest) {
        struct held *h = f->newest;
        f->newest = h->next;
        held_free(h);
    }
    (void)pthread_mutex_destroy(&f->reload);
    (void)pthread_mutex_destroy(&f->lock);
    str_done(&f->path);
    free(f);
}

const struct keytab *keytab_hold(struct keytab_file *f)
{
    (void)pthread_mutex_lock(&f->lock);
    struct held *h = f->newest;
    h->holders++;
    (void)pthread_mutex_unlock(&f->lock);
    return h->keytab;
}

void keytab_release(struct keytab_file *f, const struct keytab *kt)
{
    (void)pthread_mutex_lock(&f->lock);
    for (struct held *h = f->newest; h; h = h->next)
        if (h->keytab == kt) {
            h->holders--;
            break;
        }
    drop_unheld(f);
    (void)pthread_mutex_unlock(&f->lock);
}
