/*
 * The policy of passwords: long enough, not the name, not what everybody takes.
 *
 * Looked at is the folded password; what remains when digits and signs at both ends are taken off, if that is at least
 * half of it ("Password2024!" is "password"); the same with the usual digits for letters ("p4ssw0rd"); and the unit of
 * which a password is made by repetition ("abcabcabcabc").
 */
#include "client/policy.h"

#include <stdlib.h>
#include <string.h>

#define UNIT_MAX 5 /* bytes of a unit whose repetition is no password */

static int compare(const void *key, const void *element)
{
    const struct slice *k = key;
    const char *const *e = element;

    return slice_cmp(*k, slice_text(*e));
}

static bool is_common(struct slice s)
{
    return bsearch(&s, policy_common, policy_common_n, sizeof policy_common[0], compare) != NULL;
}

static bool is_letter(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || c >= 0x80;
}

/* Without what is no letter at both ends; the whole when little would remain. */
static struct slice trimmed(struct slice s)
{
    struct slice t = s;

    while (t.n && !is_letter(t.p[0]))
        t = slice_of(t.p + 1, t.n - 1);
    while (t.n && !is_letter(t.p[t.n - 1]))
        t.n--;
    return t.n * 2 >= s.n ? t : s;
}

static void spell_out(struct buf *b)
{
    static const char digits[] = "0134578@$!", letters[] = "oieastbasi";

    for (size_t i = 0; i < b->n; i++) {
        const char *at = memchr(digits, b->p[i], sizeof digits - 1);
        if (at)
            b->p[i] = (uint8_t)letters[at - digits];
    }
}

static bool is_repetition(struct slice s)
{
    for (size_t unit = 1; unit <= UNIT_MAX && unit * 2 <= s.n; unit++) {
        size_t i = unit;
        while (i < s.n && s.p[i] == s.p[i - unit])
            i++;
        if (i == s.n)
            return true;
    }
    return false;
}

/* Each letter is the last one's neighbour in the alphabet or among the digits: "abcdefghij", "9876543210". */
static bool is_sequence(struct slice s)
{
    bool up = true, down = true;

    for (size_t i = 1; i < s.n; i++) {
        int step = s.p[i] - s.p[i - 1];
        bool wraps = (s.p[i] == '0' && s.p[i - 1] == '9') || (s.p[i] == '9' && s.p[i - 1] == '0');
        up &= step == 1 || wraps;
        down &= step == -1 || wraps;
    }
    return up || down;
}

/* Lower case; any text is folded, also one that could not be a name. */
static enum rc fold(struct slice password, struct buf *ret)
{
    TRY(text_nfc(password, ret));
    for (size_t i = 0; i < ret->n; i++)
        if (ret->p[i] >= 'A' && ret->p[i] <= 'Z')
            ret->p[i] = (uint8_t)(ret->p[i] | 0x20);
    return RC_OK;
}

static enum rc is_name(const struct name *user, struct slice folded, bool *ret)
{
    AUTO(buf_done) struct buf name = {0};

    TRY(fold(name_slice(user), &name));
    *ret = slice_eq(buf_slice(&name), folded) || slice_eq(buf_slice(&name), trimmed(folded));
    return RC_OK;
}

enum rc policy_check(struct kerb *k, const struct name *user, struct slice password)
{
    AUTO(buf_done) struct buf folded = {0};
    bool name;

    if (password.n == 0 || password.n > PASSWORD_MAX || !utf8_valid(password))
        return client_fail(k, KERB_BAD_ARGUMENT, "the password is empty, longer than %d bytes, or not UTF-8",
                           PASSWORD_MAX);
    if (utf8_chars(password) < POLICY_LENGTH_MIN)
        return client_fail(k, KERB_POLICY, "the password is too short: take %d characters or more, e.g. a few words",
                           POLICY_LENGTH_MIN);
    TRY(fold(password, &folded));
    TRY(is_name(user, buf_slice(&folded), &name));
    if (name)
        return client_fail(k, KERB_POLICY, "the password is your name: everybody tries that first");
    struct slice whole = buf_slice(&folded), middle = trimmed(whole);
    bool common = is_common(whole) || is_common(middle) || is_repetition(whole) || is_sequence(whole);
    spell_out(&folded); /* both look at the same letters */
    common |= is_common(whole) || is_common(middle);
    if (common)
        return client_fail(k, KERB_POLICY,
                           "the password is one of those that everybody tries first: take a few words of your own");
    return RC_OK;
}

enum kerb_status kerb_password_check(struct kerb *k, const char *user, const char *password, size_t password_len)
{
    struct name name;

    client_begin(k);
    enum rc rc = client_name(k, "user", user, &name);
    if (rc == RC_OK)
        rc = policy_check(k, &name, slice_of(password, password_len));
    return client_end(k, rc);
}
