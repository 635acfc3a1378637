/* The memory of a daemon's JSON objects: cut from the thread's stretch, wiped with the last piece, else from the heap.
 */
#include "shared/base/json_pocket.h"

#include <pthread.h>

#include "shared/base/json.h"
#include "tests/unit/unit.h"

#if !UNDER_SANITIZER /* there every piece is from the heap, so that the sanitizer sees it */

static void pocket__is_taken_in_order_and_begun_again_when_all_is_given_back(void **state)
{
    (void)state;
    uint8_t *a = json_pocket_take(3), *b = json_pocket_take(40);

    assert_int_equal(b - a, 16);
    assert_int_equal((uintptr_t)a % 16, 0);
    json_pocket_give(a);
    uint8_t *c = json_pocket_take(1); /* b is still there */
    assert_int_equal(c - b, 48);
    json_pocket_give(c);
    json_pocket_give(b);
    uint8_t *again = json_pocket_take(5);
    assert_ptr_equal(again, a);
    json_pocket_give(again);
}

static void pocket__is_wiped_with_its_last_piece(void **state)
{
    (void)state;
    uint8_t *a = json_pocket_take(32), *b = json_pocket_take(32);

    memset(a, 'a', 32);
    memset(b, 'b', 32);
    json_pocket_give(a);
    assert_int_equal(b[31], 'b');
    json_pocket_give(b);
    for (size_t i = 0; i < 64; i++)
        assert_int_equal(a[i], 0);
}

static void pocket__leaves_what_does_not_fit_to_the_heap(void **state)
{
    (void)state;
    uint8_t *first = json_pocket_take(1), *large = json_pocket_take(100000), *next = json_pocket_take(1);

    assert_int_equal(next - first, 16);
    assert_true(large + 100000 <= first || large > next);
    memset(large, 'x', 100000);
    json_pocket_give(large);
    volatile size_t far_too_much = SIZE_MAX - 8;
    assert_null(json_pocket_take(far_too_much));
    json_pocket_give(next);
    json_pocket_give(first);
}

static void *take_one(void *ret)
{
    void *p = json_pocket_take(8);

    *(void **)ret = p;
    json_pocket_give(p);
    return NULL;
}

static void pocket__is_another_one_in_each_thread(void **state)
{
    (void)state;
    pthread_t thread;
    void *mine = json_pocket_take(8), *other = NULL;

    assert_int_equal(pthread_create(&thread, NULL, take_one, &other), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_ptr_not_equal(mine, other);
    json_pocket_give(mine);
}

#endif

static void pocket__carries_objects_of_every_size(void **state)
{
    (void)state;
    for (size_t n = 0; n < 400; n += 7) {
        AUTO(buf_done) struct buf text = {0};
        AUTO(json_done) json_t *one = NULL, *two = NULL;

        assert_ok(buf_text(&text, "{\"a\":0"));
        for (size_t i = 0; i < n; i++)
            assert_ok(buf_printf(&text, ",\"name %zu\":[\"\\u00e9%zu\",{\"x\":null}]", i, i));
        assert_ok(buf_text(&text, "}"));
        assert_ok(json_parse_object(buf_slice(&text), 4, &one));
        assert_ok(json_parse_object(buf_slice(&text), 4, &two));
        assert_int_equal(json_object_size(one), n + 1);
        assert_true(json_equal(one, two));
    }
}

static void pocket__gives_nothing_back_for_nothing(void **state)
{
    (void)state;
    json_pocket_give(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if !UNDER_SANITIZER
        cmocka_unit_test(pocket__is_taken_in_order_and_begun_again_when_all_is_given_back),
        cmocka_unit_test(pocket__is_wiped_with_its_last_piece),
        cmocka_unit_test(pocket__leaves_what_does_not_fit_to_the_heap),
        cmocka_unit_test(pocket__is_another_one_in_each_thread),
#endif
        cmocka_unit_test(pocket__carries_objects_of_every_size),
        cmocka_unit_test(pocket__gives_nothing_back_for_nothing),
    };

    json_setup_daemon();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
