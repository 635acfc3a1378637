/* Answers of the admin service. They come sealed from the realm, and are checked all the same. */
#include "admin/remote_reply.h"

#include <string.h>

#include "shared/base/base64.h"

enum rc remote_malformed(struct admin *a)
{
    return admin_fail(a, RC_MALFORMED, "the realm gives an answer that cannot be read");
}

static enum rc take_profiles(const json_t *list, unsigned *ret)
{
    *ret = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));
        unsigned bit;
        if (!word)
            return RC_MALFORMED;
        TRY(conf_profiles_parse(word, &bit));
        *ret |= bit;
    }
    return RC_OK;
}

static enum rc take_user(const json_t *json, struct as_principal *ret)
{
    struct slice name, id;
    int64_t kvno, epoch;

    TRY(json_get_text(json, "name", &name));
    TRY(name_parse(name, &ret->name));
    TRY(json_get_text(json, "client_id", &id));
    TRY(base64url_decode_exact(id, ret->client_id, ID_LEN));
    TRY(json_get_int(json, "kvno", &kvno));
    TRY(json_get_int(json, "epoch", &epoch));
    TRY(json_get_int(json, "created", &ret->created_s));
    TRY(json_get_int(json, "changed", &ret->changed_s));
    ret->kvno = (uint32_t)kvno;
    ret->epoch = (uint32_t)epoch;
    ret->disabled = json_is_true(json_object_get(json, "disabled"));
    ret->is_admin = json_is_true(json_object_get(json, "admin"));
    return take_profiles(json_object_get(json, "profiles"), &ret->profiles);
}

enum rc remote_show_user(struct admin *a, const json_t *reply)
{
    struct as_principal p = {0};

    if (take_user(json_object_get(reply, "user"), &p) != RC_OK)
        return remote_malformed(a);
    return admin_show_user(a, &p);
}

/* The code alone on a line, for a script; with --json also when it ends. */
enum rc remote_show_code(struct admin *a, const json_t *reply)
{
    AUTO(buf_done) struct buf out = {0};
    struct slice code;
    int64_t expires;

    if (json_get_text(reply, "onecode", &code) != RC_OK || json_get_int(reply, "expires", &expires) != RC_OK)
        return remote_malformed(a);
    if (!a->opt[OPT_JSON]) {
        TRY(buf_printf(&out, "%.*s\n", SLICE_FMT(code)));
        return admin_print(a, &out);
    }
    struct jw w = jw_start(&out);
    jw_open(&w, NULL, '{');
    jw_text(&w, "code", code);
    if (a->arg)
        jw_text(&w, "name", slice_text(a->arg));
    jw_int(&w, "expires", expires);
    jw_close(&w, '}');
    return admin_print_json(a, &w);
}

/* The TGS's next key is told; of a service's, that it was ordered: the AS does not know which services there are. */
enum rc remote_show_rotation(struct admin *a, const json_t *reply)
{
    AUTO(buf_done) struct buf out = {0};
    char from[CLASSIC_TIME_LEN + 1];
    int64_t kvno, key_from;

    bool is_known = json_get_int(reply, "kvno", &kvno) == RC_OK && json_get_int(reply, "key_from", &key_from) == RC_OK;
    if (a->opt[OPT_JSON]) {
        struct jw w = jw_start(&out);
        jw_open(&w, NULL, '{');
        jw_text(&w, "name", slice_text(a->arg));
        if (is_known) {
            jw_int(&w, "kvno", kvno);
            jw_int(&w, "key_from", key_from);
        }
        jw_close(&w, '}');
        return admin_print_json(a, &w);
    }
    if (is_known) {
        time_format_classic(key_from, from);
        TRY(buf_printf(&out, "%s: version %lld, used from %s UTC\n", a->arg, (long long)kvno, from));
    } else {
        TRY(buf_printf(&out, "%s: the next key is ordered; the TGS passes over a service that it does not have\n",
                       a->arg));
    }
    return admin_print(a, &out);
}

enum rc remote_show_nothing(struct admin *a, const json_t *reply)
{
    (void)a;
    (void)reply;
    return RC_OK;
}

enum rc remote_take_part(struct admin *a, const json_t *reply, struct remote_list *l)
{
    const json_t *users = json_object_get(reply, "users");

    for (size_t i = 0; i < json_array_size(users); i++) {
        struct as_principal p = {0};
        if (take_user(json_array_get(users, i), &p) != RC_OK)
            return remote_malformed(a);
        if (slice_cmp(name_slice(&p.name), name_slice(&l->after)) <= 0)
            return remote_malformed(a); /* or the list would never end */
        TRY(user_list_add(&l->list, &p));
        l->after = p.name;
    }
    l->more = json_is_true(json_object_get(reply, "more")) && json_array_size(users) > 0;
    return RC_OK;
}
