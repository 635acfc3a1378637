/* cmocka with all that it wants included before itself. */
#ifndef KERB_TESTS_UNIT_H
#define KERB_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "shared/base/buf.h"

#define assert_ok(call)     assert_string_equal(rc_name(call), "OK")
#define assert_rc(call, rc) assert_string_equal(rc_name(call), rc_name(rc))
#define assert_slice(s, text)                      \
    do {                                           \
        struct slice got_ = (s);                   \
        assert_int_equal(got_.n, strlen(text));    \
        assert_memory_equal(got_.p, text, got_.n); \
    } while (0)

#endif
