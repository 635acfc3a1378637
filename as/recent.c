/* A table with one place for each hash. */
#include "as/recent.h"

#include "shared/base/pages.h"

#define PLACES 256

struct place {
    struct name name; /* n 0: nothing is here */
    enum etype etype;
    struct db_mark read;
    struct as_login login;
};

struct recent {
    struct place place[PLACES];
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
static size_t place_of(const struct name *name, enum etype etype)
{
    uint32_t h = 2166136261U ^ (uint32_t)etype;

    for (size_t i = 0; i < name->n; i++)
        h = (h ^ (uint8_t)name->s[i]) * 16777619U;
    return (h ^ h >> 16) % PLACES;
}

const struct as_login *recent_find(struct recent *r, const struct name *name, enum etype etype,
                                   const struct db_mark *now)
{
    struct place *p = &r->place[place_of(name, etype)];
    bool is_it = p->name.n > 0 && p->etype == etype && slice_eq(name_slice(&p->name), name_slice(name));

    if (p->name.n > 0 && !db_mark_eq(&p->read, now)) {
        wipe(p, sizeof(*p)); /* the key may be of somebody who is no more */
        return NULL;
    }
    return is_it ? &p->login : NULL;
}

void recent_put(struct recent *r, const struct name *name, enum etype etype, const struct db_mark *read,
                const struct as_login *login)
{
    struct place *p = &r->place[place_of(name, etype)];

    p->name = *name;
    p->etype = etype;
    p->read = *read;
    p->login = *login;
}
