/*
 * base/list.h - an intrusive doubly linked list with a sentinel.
 *
 * The node is a field of the element; LIST_ENTRY gets back from node to element. An unlinked node
 * is zero or points to itself after list_node_init.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list_node {
    struct list_node *prev;
    struct list_node *next;
};

/* The head is a node of its own: empty when it points to itself. */
static inline void
list_init(struct list_node *head)
{
    head->prev = head;
    head->next = head;
}

static inline bool
list_empty(const struct list_node *head)
{
    return head->next == head;
}

static inline bool
list_linked(const struct list_node *node)
{
    return node->next != NULL && node->next != node;
}

static inline void
list_insert_before(struct list_node *at, struct list_node *node)
{
    node->prev = at->prev;
    node->next = at;
    at->prev->next = node;
    at->prev = node;
}

static inline void
list_push_back(struct list_node *head, struct list_node *node)
{
    list_insert_before(head, node);
}

static inline void
list_push_front(struct list_node *head, struct list_node *node)
{
    list_insert_before(head->next, node);
}

/* Also leaves the node unlinked, so removing twice is harmless. */
static inline void
list_remove(struct list_node *node)
{
    if (node->next != NULL) {
        node->prev->next = node->next;
        node->next->prev = node->prev;
    }
    node->prev = NULL;
    node->next = NULL;
}

static inline struct list_node *
list_pop_front(struct list_node *head)
{
    if (list_empty(head)) {
        return NULL;
    }
    struct list_node *node = head->next;
    list_remove(node);
    return node;
}

#define LIST_ENTRY(node, type, field) ((type *)(void *)((char *)(node)-offsetof(type, field)))
#define LIST_FOREACH(at, head) \
    for (struct list_node *at = (head)->next; at != (head); at = at->next)

#endif /* BASE_LIST_H */
