/* The body of a POST: a form or a JSON object as named texts. */
#include <string.h>

#include "shared/service/params.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

/* As the strictest client writes it: every byte escaped. */
static void write_escaped(struct slice s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++)
        CHECK_OK(buf_printf(out, "%%%02X", s.p[i]));
}

static void check_form(const struct params *p)
{
    AUTO(buf_done) struct buf again = {0};
    AUTO(params_done) struct params q = {0};

    CHECK(p->n <= PARAMS_MAX);
    for (size_t i = 0; i < p->n; i++) {
        struct slice value;
        CHECK(p->form[i].name.n > 0);
        CHECK(!memchr(p->form[i].name.p, 0, p->form[i].name.n));
        AUTO(str_done) char *name = slice_dup(p->form[i].name);
        CHECK_OK(params_text(p, name, SIZE_MAX, &value)); /* no name twice: each finds its own */
        CHECK(value.p == p->form[i].value.p && value.n == p->form[i].value.n);
        CHECK(value.n == 0 || params_text(p, name, value.n - 1, &value) == RC_MALFORMED);
        write_escaped(p->form[i].name, &again);
        CHECK_OK(buf_byte(&again, '='));
        write_escaped(p->form[i].value, &again);
        CHECK_OK(buf_byte(&again, '&'));
    }
    CHECK_OK(params_parse(buf_slice(&again), &q));
    CHECK(q.n == p->n);
    for (size_t i = 0; i < p->n; i++)
        CHECK(slice_eq(p->form[i].name, q.form[i].name) && slice_eq(p->form[i].value, q.form[i].value));
}

void fuzz_one(struct slice input)
{
    AUTO(params_done) struct params p = {0};
    struct slice value = slice_text("untouched");

    if (params_parse(input, &p) != RC_OK) {
        CHECK(!p.json && p.n == 0 && p.decoded.p == NULL);
        return;
    }
    if (!p.json)
        check_form(&p);
    if (params_text(&p, "login", 1024, &value) == RC_OK)
        CHECK(value.n <= 1024);
    else
        CHECK(slice_eq(value, slice_text("untouched")));
}
