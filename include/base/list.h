/* An intrusive, circular, doubly linked list. Nothing is allocated; a node is in at most one list. Libc only.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *next, *prev;
};
struct list {
    struct list_node head;
};

#define list_entry(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

static inline void list_init(struct list *l)
{
    l->head.next = l->head.prev = &l->head;
}

static inline bool list_is_empty(const struct list *l)
{
    return l->head.next == &l->head;
}

static inline void list_insert_after(struct list_node *where, struct list_node *n)
{
    n->prev = where;
    n->next = where->next;
    where->next->prev = n;
    where->next = n;
}

static inline void list_append(struct list *l, struct list_node *n)
{
    list_insert_after(l->head.prev, n);
}

static inline void list_prepend(struct list *l, struct list_node *n)
{
    list_insert_after(&l->head, n);
}

/* Removing a node that is in no list (zeroed or removed before) does nothing. */
static inline void list_remove(struct list_node *n)
{
    if (!n->next)
        return;
    n->prev->next = n->next;
    n->next->prev = n->prev;
    n->next = n->prev = NULL;
}

/* Loops `var` over every entry. The body must not remove `var`; list_each_safe allows that. */
#define list_each(type, var, l, member)                                                                      \
    for (type *var = list_entry((l)->head.next, type, member); &var->member != &(l)->head;                   \
         var = list_entry(var->member.next, type, member))
#define list_each_safe(type, var, l, member)                                                                 \
    for (type *var = list_entry((l)->head.next, type, member),                                               \
              *var##_next = list_entry(var->member.next, type, member);                                      \
         &var->member != &(l)->head;                                                                         \
         var = var##_next, var##_next = list_entry(var##_next->member.next, type, member))

#endif
