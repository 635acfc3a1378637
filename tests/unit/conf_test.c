/* kerb.conf: every kind of refusal names the file and the line. */
#include "shared/service/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/file.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/kerb-conf-XXXXXX";
static char path[64];

static enum rc load(struct slice text, struct conf *conf, struct buf *error)
{
    assert_ok(file_write_atomic(path, text, 0600));
    return conf_load(path, conf, error);
}

static void expect_default(struct slice text)
{
    AUTO(buf_done) struct buf error = {0};
    struct conf got, want;

    assert_ok(load(text, &got, &error));
    conf_default(&want);
#define T(s, k, d, doc)                        \
    if (strcmp(#s "." #k, "realm.state") != 0) \
        assert_string_equal(got.s##_##k, want.s##_##k);
#define N(s, k, d, lo, hi, doc) assert_int_equal(got.s##_##k, want.s##_##k);
#define B(s, k, d, doc)         assert_int_equal(got.s##_##k, want.s##_##k);
    CONF_TABLE(T, N, B)
#undef T
#undef N
#undef B
    assert_string_equal(got.realm_state, dir);
    assert_slice(name_slice(&got.realm), "KERB");
}

static void conf_load__reads_values_of_every_kind(void **state)
{
    AUTO(buf_done) struct buf error = {0};
    struct conf conf;

    (void)state;
    assert_ok(
        load(slice_text("\xEF\xBB\xBF# comment\r\n[realm]\r\nname = J\xC3\xBCrgen's  ; inline\nstate=/srv/kerb\n"
                        "check_address = yes\n\n; more\n[as]\nthreads=7\nlisten = [::1]:0\n[log]\nlevel=debug\n"
                        "[proxy]\ntrusted = 127.0.0.1 10.0.0.0/8\n[chat]\norigins = https://a.example:8443/ http://b"),
             &conf, &error));
    assert_string_equal(conf.realm_name, "J\xC3\xBCrgen's");
    assert_slice(name_slice(&conf.realm), "J\xC3\xBCrgen's");
    assert_string_equal(conf.realm_state, "/srv/kerb");
    assert_true(conf.realm_check_address);
    assert_int_equal(conf.as_threads, 7);
    assert_string_equal(conf.as_listen, "[::1]:0");
    assert_string_equal(conf.log_level, "debug");
    assert_string_equal(conf.proxy_trusted, "127.0.0.1 10.0.0.0/8");
    assert_string_equal(conf.chat_origins, "https://a.example:8443/ http://b");
    assert_int_equal(conf.tgs_threads, 2);
    assert_int_equal(error.n, 0);
}

static void conf_load__of_an_empty_file_gives_the_defaults(void **state)
{
    (void)state;
    expect_default(slice_text(""));
}

static void conf_example__is_the_defaults_as_it_is_and_uncommented(void **state)
{
    AUTO(buf_done) struct buf text = {0}, bare = {0};

    (void)state;
    assert_ok(conf_example(&text));
    expect_default(buf_slice(&text));
    for (size_t i = 0; i < text.n; i++) {
        bool is_key = text.p[i] == '#' && (i + 1 < text.n && text.p[i + 1] != ' ');
        if (!is_key)
            assert_ok(buf_byte(&bare, text.p[i]));
    }
    expect_default(buf_slice(&bare));
}

static void conf_markdown__has_a_row_for_each_key(void **state)
{
    AUTO(buf_done) struct buf text = {0};

    (void)state;
    assert_ok(conf_markdown(&text));
    const char *md = buf_cstr(&text);
#define T(s, k, d, doc)         assert_non_null(strstr(md, "| `" #k "` | "));
#define N(s, k, d, lo, hi, doc) assert_non_null(strstr(md, "| `" #k "` | `" #d "` | " #lo " to " #hi " | " doc " |"));
#define B(s, k, d, doc)         assert_non_null(strstr(md, "| `" #k "` | "));
    CONF_TABLE(T, N, B)
#undef T
#undef N
#undef B
    assert_non_null(strstr(md, "\n## [policy]\n"));
}

static void conf_load__refuses_with_file_and_line(void **state)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"[as]\nprot = 1\n",                                     ":2: unknown key 'prot' in [as]"                        },
        {"[as]\nname = x\n",                                     ":2: unknown key 'name' in [as]"                        },
        {"\n[kdc]\n",                                            ":2: unknown section [kdc]"                             },
        {"[AS]\n",                                               ":1: unknown section [AS]"                              },
        {"[]\n",                                                 ":1: unknown section []"                                },
        {"[as\nthreads=1\n",                                     ":1: this is neither a [section] nor a 'key = value'"   },
        {"[as] threads=1\n",                                     ":1: there is something behind [as]"                    },
        {"threads = 1\n",                                        ":1: 'threads' stands before the first [section]"       },
        {"[as]\nthreads\n",                                      ":2: this is neither a [section] nor a 'key = value'"   },
        {"[as]\nthreads = 1\n 2\n",                              ":3: this is neither a [section] nor a 'key = value'"   },
        {"[as]\nthreads = 1\n\nthreads = 2\n",                   ":4: 'threads' stands in line 2 already"                },
        {"[as]\nthreads=1\n[tgs]\nthreads=1\n[as]\nthreads=1\n", ":6: 'threads' stands in line 2 already"                },
        {"[as]\nthreads = 0\n",                                  ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[as]\nthreads = 65\n",                                 ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[as]\nthreads = -1\n",                                 ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[as]\nthreads = 2x\n",                                 ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[as]\nthreads = 02\n",                                 ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[as]\nthreads =\n",                                    ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[as]\nthreads = 99999999999999999999\n",               ":2: 'threads' must be a whole number from 1 to 64"     },
        {"[realm]\ncheck_address = true\n",                      ":2: 'check_address' must be yes or no"                 },
        {"[realm]\nname =\n",                                    ":2: 'name' must be a name of 1 to 64 characters"       },
        {"[realm]\nstate = var\n",                               ":2: 'state' must begin with '/'"                       },
        {"[chat]\nservice =\n",                                  ":2: 'service' must be a name of 1 to 64 characters"    },
        {"[as]\nlisten = 8801\n",                                ":2: 'listen' must be address:port"                     },
        {"[as]\nlisten = localhost:8801\n",                      ":2: 'listen' must be address:port"                     },
        {"[tgs]\nlisten = 127.0.0.1:65536\n",                    ":2: 'listen' must be address:port"                     },
        {"[chat]\nlisten = ::1:8803\n",                          ":2: 'listen' must be address:port"                     },
        {"[chat]\norigins = example.org\n",                      ":2: 'origins' must be scheme://host:port"              },
        {"[chat]\norigins = https://a https://b/c\n",            ":2: 'origins' must be scheme://host:port"              },
        {"[chat]\norigins = *\n",                                ":2: 'origins' must be scheme://host:port"              },
        {"[proxy]\ntrusted = nginx\n",                           ":2: 'trusted' must be at most 32 addresses or networks"},
        {"[log]\nlevel = all\n",                                 ":2: 'level' must be debug, info, warn or error"        },
        {"[log]\n\n# \x01\n",                                    ":3: there is a control character"                      },
        {"[log]\nlevel = \xFF\n",                                ": the file is not UTF-8"                               },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(buf_done) struct buf error = {0}, want = {0};
        struct conf conf;
        assert_rc(load(slice_text(bad[i].text), &conf, &error), RC_BAD_CONFIG);
        assert_ok(buf_printf(&want, "%s%s", path, bad[i].error));
        if (strncmp(buf_cstr(&error), buf_cstr(&want), want.n) != 0)
            fail_msg("got '%s', want '%s'", buf_cstr(&error), buf_cstr(&want));
    }
}

static void conf_load__refuses_long_lines_values_and_files(void **state)
{
    AUTO(buf_done) struct buf line = {0}, value = {0}, file = {0}, error = {0};
    struct conf conf;

    (void)state;
    assert_ok(buf_text(&line, "[log]\n# "));
    for (int i = 0; i < 1100; i++)
        assert_ok(buf_byte(&line, 'x'));
    assert_rc(load(buf_slice(&line), &conf, &error), RC_BAD_CONFIG);
    assert_non_null(strstr(buf_cstr(&error), ":2: the line is longer than 1024 bytes"));
    buf_reset(&error);
    assert_ok(buf_text(&value, "[realm]\nstate = /"));
    for (int i = 0; i < CONF_TEXT_MAX; i++)
        assert_ok(buf_byte(&value, 'x'));
    assert_rc(load(buf_slice(&value), &conf, &error), RC_BAD_CONFIG);
    assert_non_null(strstr(buf_cstr(&error), ":2: 'state' is longer than 512 bytes"));
    buf_reset(&error);
    while (file.n <= CONF_FILE_MAX)
        assert_ok(buf_text(&file, "# comment\n"));
    assert_rc(load(buf_slice(&file), &conf, &error), RC_BAD_CONFIG);
    assert_non_null(strstr(buf_cstr(&error), ": the file is larger than 65536 bytes"));
}

static void conf_load__refuses_a_zero_byte(void **state)
{
    AUTO(buf_done) struct buf error = {0};
    struct conf conf;

    (void)state;
    assert_rc(load(slice_of("[log]\nlevel = info\0x\n", 21), &conf, &error), RC_BAD_CONFIG);
    assert_non_null(strstr(buf_cstr(&error), ":2: there is a control character"));
}

static void conf_load__refuses_files_that_others_may_write(void **state)
{
    static const mode_t modes[] = {0620, 0602, 0666};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        AUTO(buf_done) struct buf error = {0};
        struct conf conf;
        assert_ok(file_write_atomic(path, slice_text("[log]\n"), modes[i]));
        assert_rc(conf_load(path, &conf, &error), RC_UNSAFE_FILE);
        assert_non_null(strstr(buf_cstr(&error), ": others may write this file"));
    }
}

static void conf_load__names_a_file_that_is_not_there(void **state)
{
    AUTO(buf_done) struct buf error = {0};
    struct conf conf;

    (void)state;
    assert_rc(conf_load("/nonexistent/kerb.conf", &conf, &error), RC_NOT_FOUND);
    assert_string_equal(buf_cstr(&error), "/nonexistent/kerb.conf: there is no such file");
}

static void conf_path__joins(void **state)
{
    struct conf conf;
    char *got = NULL;

    (void)state;
    conf_default(&conf);
    (void)snprintf(conf.realm_state, sizeof conf.realm_state, "/srv/kerb");
    assert_ok(conf_path(&conf, "as/as.db", &got));
    assert_string_equal(got, "/srv/kerb/as/as.db");
    str_done(&got);
}

static void daemon_args__tell_what_to_do(void **state)
{
    static const struct {
        const char *words[5];
        bool go_on, check;
        int exit;
    } rows[] = {
        {{"kerb-as", "--config", "f"},                true,  false, -1},
        {{"kerb-as", "--check-config", "--config=f"}, true,  true,  -1},
        {{"kerb-as", "--help"},                       false, false, 0 },
        {{"kerb-as", "--version"},                    false, false, 0 },
        {{"kerb-as"},                                 false, false, 2 },
        {{"kerb-as", "--config"},                     false, false, 2 },
        {{"kerb-as", "--config", "f", "more"},        false, false, 2 },
        {{"kerb-as", "--port", "1"},                  false, false, 2 },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct daemon_args args = {0};
        char *argv[6] = {0};
        int argc = 0, status = -1;
        for (; argc < 5 && rows[i].words[argc]; argc++)
            argv[argc] = slice_dup(slice_text(rows[i].words[argc]));
        assert_int_equal(daemon_args_parse(argc, argv, "a test", &args, &status), rows[i].go_on);
        assert_int_equal(status, rows[i].exit);
        assert_int_equal(args.check_only, rows[i].check);
        if (rows[i].go_on)
            assert_string_equal(args.config, "f");
        for (int j = 0; j < 5; j++)
            str_done(&argv[j]);
    }
}

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return 1;
    (void)snprintf(path, sizeof path, "%s/kerb.conf", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(conf_load__reads_values_of_every_kind),
        cmocka_unit_test(conf_load__of_an_empty_file_gives_the_defaults),
        cmocka_unit_test(conf_example__is_the_defaults_as_it_is_and_uncommented),
        cmocka_unit_test(conf_markdown__has_a_row_for_each_key),
        cmocka_unit_test(conf_load__refuses_with_file_and_line),
        cmocka_unit_test(conf_load__refuses_long_lines_values_and_files),
        cmocka_unit_test(conf_load__refuses_a_zero_byte),
        cmocka_unit_test(conf_load__refuses_files_that_others_may_write),
        cmocka_unit_test(conf_load__names_a_file_that_is_not_there),
        cmocka_unit_test(conf_path__joins),
        cmocka_unit_test(daemon_args__tell_what_to_do),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
