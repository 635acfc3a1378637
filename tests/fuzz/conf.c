/* kerb.conf: what is read lies in its bounds; what is refused names the file, and leaves nothing. */
#include "shared/service/conf.h"

#include <string.h>

#include "shared/service/proxy.h"
#include "tests/fuzz/fuzz.h"

void fuzz_open(void)
{
}

static void check_bounds(const struct conf *conf)
{
    struct proxy_list list;

#define T(section, key, def, doc)           CHECK(memchr(conf->section##_##key, 0, sizeof(conf->section##_##key)));
#define N(section, key, def, min, max, doc) CHECK(conf->section##_##key >= (min) && conf->section##_##key <= (max));
#define B(section, key, def, doc)
    CONF_TABLE(T, N, B)
#undef T
#undef N
#undef B
    CHECK(conf->realm.n > 0 && conf_profiles(conf) != 0);
    CHECK(conf->realm_state[0] == '/');
    CHECK_OK(proxy_list_parse(conf->proxy_trusted, &list));
}

void fuzz_one(struct slice input)
{
    static struct conf conf;
    AUTO(buf_done) struct buf error = {0};

    memset(&conf, 0x5a, sizeof conf);
    const char *path = fuzz_file(input);
    enum rc rc = conf_load(path, &conf, &error);
    if (rc == RC_OK) {
        CHECK(error.n == 0);
        check_bounds(&conf);
        return;
    }
    CHECK(rc == RC_BAD_CONFIG);
    CHECK(utf8_valid(buf_slice(&error)));
    CHECK(error.n > strlen(path) && memcmp(error.p, path, strlen(path)) == 0);
    CHECK(conf.realm_name[0] == 0x5a);
}
