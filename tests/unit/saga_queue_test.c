/* tests/unit/saga_queue_test.c - the queue of sagas against a list: any order of sets and removals.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "saga/saga_internal.h"

enum {
    NUMBERS = 300,
    ACTIONS = 60000,
};

static void
test_against_a_list(void **state)
{
    (void)state;
    struct saga_queue queue = {0};
    int64_t due[NUMBERS] = {0}; /* 0: not there */
    size_t count = 0;
    uint64_t random = 1;
    assert_null(saga__queue_find(&queue, 1));
    saga__queue_remove(&queue, 1);
    for (int i = 0; i < ACTIONS; i++) {
        random = hash_u64(random + 1);
        uint64_t at = random % NUMBERS;
        uint64_t number = at * 64 + 7; /* as those of one slot */
        bool fills = (i / 6000) % 2 == 0;
        if (random >> 32 & 3 || (fills && random >> 34 & 1)) {
            int64_t when = (int64_t)(random >> 40 & 0xFFFF) + 1;
            count += due[at] == 0;
            due[at] = when;
            saga__queue_set(&queue, number, when);
        } else if (random >> 36 & 1 || queue.count == 0) {
            count -= due[at] != 0;
            due[at] = 0;
            saga__queue_remove(&queue, number);
        } else { /* the first */
            uint64_t first = queue.heap[0].number;
            int64_t least = INT64_MAX;
            for (size_t k = 0; k < NUMBERS; k++) {
                least = due[k] != 0 && due[k] < least ? due[k] : least;
            }
            assert_int_equal(queue.heap[0].due, least);
            assert_int_equal(due[first / 64], least);
            due[first / 64] = 0;
            count--;
            saga__queue_remove(&queue, first);
        }
        const struct saga_due *found = saga__queue_find(&queue, number);
        assert_int_equal(found == NULL ? 0 : found->due, due[at]);
        assert_int_equal(queue.count, count);
    }
    assert_true(count > 0);
    saga__queue_destroy(&queue);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_a_list)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
