/*
 * Where the realm is: what the caller says goes before the environment, and this before kerb.conf. A kerb.conf that
 * was named must be there; one in a usual place may be.
 */
#include "client/client.h"

#include <stdlib.h>
#include <string.h>

#include "client/http.h"
#include "shared/service/conf.h"

#define CONFIG_OF_HOME   "kerb/kerb.conf"
#define CONFIG_OF_SYSTEM "/etc/kerb/kerb.conf"

static const char *first(const char *a, const char *variable, const char *b)
{
    const char *env = getenv(variable);

    return a && a[0] ? a : env && env[0] ? env : b;
}

enum rc client_take_url(struct kerb *k, const char *text)
{
    AUTO(buf_done) struct buf url = {0};

    enum rc rc = http_url_check(text, &url);
    if (rc == RC_MALFORMED)
        return client_fail(
            k, KERB_BAD_ARGUMENT,
            "the realm's URL must be like https://chat.example.org, without a query, a user or a password");
    TRY(rc);
    if (!buf_cstr(&url))
        return RC_NO_MEMORY;
    buf_done(&k->url);
    k->url = buf_take(&url);
    return RC_OK;
}

static enum rc usual_path(struct buf *ret)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (config && config[0] == '/')
        TRY(buf_printf(ret, "%s/" CONFIG_OF_HOME, config));
    else if (home && home[0] == '/')
        TRY(buf_printf(ret, "%s/.config/" CONFIG_OF_HOME, home));
    return buf_cstr(ret) ? RC_OK : RC_NO_MEMORY;
}

static enum rc tell_config(struct kerb *k, const char *path, enum rc rc, struct buf *error)
{
    const char *sentence = error->n ? buf_cstr(error) : NULL;

    if (sentence)
        return client_fail(k, KERB_BAD_CONFIG, "%s", sentence);
    return client_fail(k, KERB_BAD_CONFIG, "%s: %s", path, rc_text(rc));
}

static enum rc load(struct kerb *k, const char *path, bool must_be_there, struct conf *conf, bool *ret_found)
{
    AUTO(buf_done) struct buf error = {0};

    enum rc rc = path[0] ? conf_load(path, conf, &error) : RC_NOT_FOUND;
    *ret_found = rc == RC_OK;
    if (rc == RC_OK || (rc == RC_NOT_FOUND && !must_be_there))
        return RC_OK;
    return tell_config(k, path, rc, &error);
}

static enum rc find_conf(struct kerb *k, const struct kerb_options *o, struct conf *conf)
{
    AUTO(buf_done) struct buf usual = {0};
    const char *named = first(o->config, "KERB_CONFIG", NULL);
    bool found;

    if (named)
        return load(k, named, true, conf, &found);
    TRY(usual_path(&usual));
    TRY(load(k, (const char *)usual.p, false, conf, &found));
    return found ? RC_OK : load(k, CONFIG_OF_SYSTEM, false, conf, &found);
}

static enum rc take(struct kerb *k, const struct kerb_options *o, const struct conf *conf)
{
    const char *url = first(o->url, "KERB_URL", conf->client_url);
    const char *realm = first(o->realm, "KERB_REALM", conf->client_realm);
    const char *ca_file = first(o->ca_file, "KERB_CA_FILE", conf->client_ca_file);

    if (strlen(ca_file) >= sizeof k->ca_file)
        return client_fail(k, KERB_BAD_ARGUMENT, "the name of the authorities' file is too long");
    memcpy(k->ca_file, ca_file, strlen(ca_file) + 1);
    k->iterations_min = (uint32_t)conf->client_iterations_min;
    if (url[0])
        TRY(client_take_url(k, url));
    return realm[0] ? client_name(k, "realm", realm, &k->realm) : RC_OK;
}

enum rc client_discover(struct kerb *k, const struct kerb_options *options)
{
    struct conf *conf = calloc(1, sizeof *conf); /* some 10 KiB of texts: not for a stranger's stack */

    if (!conf)
        return RC_NO_MEMORY;
    conf_default(conf);
    enum rc rc = find_conf(k, options, conf);
    if (rc == RC_OK)
        rc = take(k, options, conf);
    free(conf);
    return rc;
}
