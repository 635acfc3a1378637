/* A principal as JSON, without its keys: what kerbadm and the admin service show. */
#include "as/store.h"

void as_principal_write(struct jw *w, const struct as_principal *p)
{
    static const enum etype all[] = {ETYPE_AES128_CBC_HS256, ETYPE_AES128_CBC};

    jw_text(w, "name", name_slice(&p->name));
    jw_base64url(w, "client_id", SLICE(p->client_id));
    jw_bool(w, "disabled", p->disabled);
    jw_bool(w, "admin", p->is_admin);
    jw_open(w, "profiles", '[');
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        if (p->profiles & PROFILE_BIT(all[i]))
            jw_text(w, NULL, slice_text(profile_name(all[i])));
    jw_close(w, ']');
    jw_int(w, "kvno", p->kvno);
    jw_int(w, "epoch", p->epoch);
    jw_int(w, "created", p->created_s);
    jw_int(w, "changed", p->changed_s);
}
