/* The client's address behind trusted proxies. */
#include "shared/service/proxy.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "tests/unit/unit.h"

static void expect(const char *trusted, const char *peer, const char *forwarded, const char *want)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    struct proxy_list list;
    char got[ADDRESS_MAX];

    assert_ok(proxy_list_parse(trusted, &list));
    const struct sockaddr *sa = (const struct sockaddr *)&v4;
    if (inet_pton(AF_INET, peer, &v4.sin_addr) != 1) {
        assert_int_equal(inet_pton(AF_INET6, peer, &v6.sin6_addr), 1);
        sa = (const struct sockaddr *)&v6;
    }
    proxy_client_address(&list, sa, slice_text(forwarded), got);
    assert_string_equal(got, want);
}

static void client_address__is_the_rightmost_that_is_not_a_proxy(void **state)
{
    static const struct {
        const char *trusted, *peer, *forwarded, *want;
    } rows[] = {
        {"",                     "203.0.113.9",      "198.51.100.1",                     "203.0.113.9" },
        {"127.0.0.1",            "203.0.113.9",      "198.51.100.1",                     "203.0.113.9" },
        {"127.0.0.1",            "127.0.0.1",        "",                                 "127.0.0.1"   },
        {"127.0.0.1",            "127.0.0.1",        "198.51.100.1",                     "198.51.100.1"},
        {"127.0.0.1",            "127.0.0.1",        "6.6.6.6, 198.51.100.1",            "198.51.100.1"},
        {"127.0.0.1 10.0.0.0/8", "127.0.0.1",        "6.6.6.6,198.51.100.1 ,\t10.1.2.3", "198.51.100.1"},
        {"10.0.0.0/8",           "10.9.9.9",         "10.1.1.1, 10.2.2.2",               "10.1.1.1"    },
        {"127.0.0.1",            "127.0.0.1",        "198.51.100.1, unknown",            "127.0.0.1"   },
        {"127.0.0.1",            "127.0.0.1",        "198.51.100.1,",                    "127.0.0.1"   },
        {"127.0.0.1",            "127.0.0.1",        "198.51.100.1, 1.2.3.4.5",          "127.0.0.1"   },
        {"127.0.0.1 10.0.0.1",   "127.0.0.1",        "6.6.6.6, junk, 10.0.0.1",          "10.0.0.1"    },
        {"127.0.0.1",            "127.0.0.1",        "198.51.100.1:4711",                "198.51.100.1"},
        {"::1",                  "::1",              "[2001:db8::7]:4711",               "2001:db8::7" },
        {"::1",                  "::1",              "2001:DB8:0:0::7",                  "2001:db8::7" },
        {"2001:db8::/32",        "2001:db8:1::1",    "2001:db9::1",                      "2001:db9::1" },
        {"127.0.0.1",            "::ffff:127.0.0.1", "::ffff:198.51.100.1",              "198.51.100.1"},
        {"10.0.0.0/9",           "10.128.0.1",       "1.1.1.1",                          "10.128.0.1"  },
        {"0.0.0.0/0",            "9.9.9.9",          "1.1.1.1, 2.2.2.2",                 "1.1.1.1"     },
        {"0.0.0.0/0",            "2001:db8::1",      "1.1.1.1",                          "2001:db8::1" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        expect(rows[i].trusted, rows[i].peer, rows[i].forwarded, rows[i].want);
}

static void client_address__is_written_as_the_library_does(void **state)
{
    char want[INET_ADDRSTRLEN];

    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        const uint8_t b[4] = {(uint8_t)i, (uint8_t)(i * 7), (uint8_t)(255 - i), (uint8_t)(i * 3)};
        assert_non_null(inet_ntop(AF_INET, b, want, sizeof want));
        expect("", want, "", want);
    }
}

static void client_address__does_not_read_an_address_that_the_limit_cut(void **state)
{
    AUTO(buf_done) struct buf header = {0};

    (void)state;
    /* The limit falls behind the first digit of "110.1.1.1", which without it would be a trusted proxy. */
    assert_ok(buf_text(&header, "6.6.6.6,110.1.1.1"));
    while (header.n - strlen("6.6.6.6,1") < PROXY_HEADER_MAX)
        assert_ok(buf_text(&header, (PROXY_HEADER_MAX - (header.n - strlen("6.6.6.6,1"))) % 10 ? " " : ",10.10.1.1"));
    expect("10.0.0.0/8", "10.9.9.9", buf_cstr(&header), "10.10.1.1");
}

static void client_address__of_a_local_socket_has_a_word(void **state)
{
    const struct sockaddr_un local = {.sun_family = AF_UNIX};
    struct proxy_list list = {0};
    char got[ADDRESS_MAX];

    (void)state;
    proxy_client_address(&list, (const struct sockaddr *)&local, slice_text("1.1.1.1"), got);
    assert_string_equal(got, "local");
}

static void list_parse__refuses(void **state)
{
    static const char *const bad[] = {
        "localhost",      "10.0.0.1/8",     "10.0.0.0/33", "10.0.0.0/",         "10.0.0.0/-1", "10.0.0.0/08",
        "2001:db8::/129", "2001:db8::1/32", "10.0.0.0.0",  "10.0.0.1,10.0.0.2", "1.1.1.1 x",   "/8",
        "::1%lo",
    };
    struct proxy_list list;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_rc(proxy_list_parse(bad[i], &list), RC_BAD_CONFIG);
}

static void list_parse__refuses_one_too_many(void **state)
{
    AUTO(buf_done) struct buf text = {0};
    struct proxy_list list;

    (void)state;
    for (int i = 0; i < PROXY_LIST_MAX; i++)
        assert_ok(buf_printf(&text, "10.0.0.%d ", i));
    assert_ok(proxy_list_parse(buf_cstr(&text), &list));
    assert_int_equal(list.n, PROXY_LIST_MAX);
    assert_ok(buf_text(&text, "10.0.1.1"));
    assert_rc(proxy_list_parse(buf_cstr(&text), &list), RC_BAD_CONFIG);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_address__is_the_rightmost_that_is_not_a_proxy),
        cmocka_unit_test(client_address__is_written_as_the_library_does),
        cmocka_unit_test(client_address__does_not_read_an_address_that_the_limit_cut),
        cmocka_unit_test(client_address__of_a_local_socket_has_a_word),
        cmocka_unit_test(list_parse__refuses),
        cmocka_unit_test(list_parse__refuses_one_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
