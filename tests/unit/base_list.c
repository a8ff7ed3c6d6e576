/* The intrusive list: order, removal in mid-loop, and nodes that are in none. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/list.h"

struct item {
    int value;
    struct list_node node;
};

static int digits(struct list *l)
{
    int n = 0;
    list_each (struct item, i, l, node)
        n = n * 10 + i->value;
    return n;
}

static void order_and_removal(void **state)
{
    (void)state;
    struct list l;
    struct item one = {.value = 1}, two = {.value = 2}, three = {.value = 3};
    list_init(&l);
    assert_true(list_is_empty(&l));
    list_append(&l, &two.node);
    list_append(&l, &three.node);
    list_prepend(&l, &one.node);
    assert_int_equal(digits(&l), 123);
    list_remove(&two.node);
    assert_int_equal(digits(&l), 13);
    list_remove(&two.node); /* in no list: nothing happens */
    assert_int_equal(digits(&l), 13);
    list_append(&l, &two.node);
    assert_int_equal(digits(&l), 132);
}

static void removing_while_walking(void **state)
{
    (void)state;
    struct list l;
    struct item items[5] = {{.value = 1}, {.value = 2}, {.value = 3}, {.value = 4}, {.value = 5}};
    list_init(&l);
    for (size_t i = 0; i < 5; i++)
        list_append(&l, &items[i].node);
    list_each_safe (struct item, i, &l, node) {
        if (i->value % 2)
            list_remove(&i->node);
    }
    assert_int_equal(digits(&l), 24);
    list_each_safe (struct item, i, &l, node)
        list_remove(&i->node);
    assert_true(list_is_empty(&l));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_removal),
        cmocka_unit_test(removing_while_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
