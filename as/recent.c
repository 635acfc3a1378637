/* A table with four places for each hash. */
#include "as/recent.h"

#include "shared/base/pages.h"

#define SETS 64
#define WAYS 4 /* some twenty names do not push each other out */

struct place {
    struct name name; /* n 0: nothing is here */
    enum etype etype;
    struct db_mark read;
    struct as_login login;
};

struct set {
    struct place way[WAYS];
    size_t next; /* the place that is given away next */
};

struct recent {
    struct set set[SETS];
};

struct recent *recent_new(void)
{
    return pages_take(sizeof(struct recent));
}

void recent_free(struct recent *r)
{
    pages_give(r, sizeof *r);
}

/* FNV-1a. Whoever finds names of one hash makes them push each other out, no more. */
static struct set *set_of(struct recent *r, const struct name *name, enum etype etype)
{
    uint32_t h = 2166136261U ^ (uint32_t)etype;

    for (size_t i = 0; i < name->n; i++)
        h = (h ^ (uint8_t)name->s[i]) * 16777619U;
    return &r->set[(h ^ h >> 16) % SETS];
}

static bool is_of(const struct place *p, const struct name *name, enum etype etype)
{
    return p->name.n > 0 && p->etype == etype && slice_eq(name_slice(&p->name), name_slice(name));
}

const struct as_login *recent_find(struct recent *r, const struct name *name, enum etype etype,
                                   const struct db_mark *now)
{
    struct set *s = set_of(r, name, etype);
    const struct as_login *found = NULL;

    for (size_t i = 0; i < WAYS; i++) {
        struct place *p = &s->way[i];
        if (p->name.n > 0 && !db_mark_eq(&p->read, now))
            wipe(p, sizeof(*p)); /* the key may be of somebody who is no more */
        else if (is_of(p, name, etype))
            found = &p->login;
    }
    return found;
}

/* His own place, or the next one in turn. */
static struct place *place_for(struct set *s, const struct name *name, enum etype etype)
{
    for (size_t i = 0; i < WAYS; i++)
        if (is_of(&s->way[i], name, etype))
            return &s->way[i];
    return &s->way[s->next++ % WAYS];
}

void recent_put(struct recent *r, const struct name *name, enum etype etype, const struct db_mark *read,
                const struct as_login *login)
{
    struct place *p = place_for(set_of(r, name, etype), name, etype);

    p->name = *name;
    p->etype = etype;
    p->read = *read;
    p->login = *login;
}
