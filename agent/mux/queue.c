/* See queue.h. */
#include "mux/queue.h"

#include <assert.h>
#include <stdlib.h>

enum {
    SMALL_CAP = BLOCK_SMALL - sizeof(struct mux_block),
    LARGE_CAP = BLOCK_LARGE - sizeof(struct mux_block)
};

static struct mux_block *spare_pop(struct mux_block **list, uint32_t *count)
{
    struct mux_block *b = *list;
    if (b) {
        *list = b->next;
        (*count)--;
    }
    return b;
}

static struct mux_block *block_new(struct mux_pool *p, uint8_t type, size_t cap)
{
    struct mux_block *b = NULL;
    if (cap == SMALL_CAP)
        b = spare_pop(&p->small, &p->small_spare);
    else if (cap == LARGE_CAP)
        b = spare_pop(&p->large, &p->large_spare);
    if (!b)
        b = malloc(sizeof *b + cap);
    if (!b)
        return NULL;
    *b = (struct mux_block){.cap = (uint32_t)cap, .type = type};
    p->bytes += sizeof *b + cap;
    return b;
}

static bool spare_push(struct mux_block **list, uint32_t *count, uint32_t max, struct mux_block *b)
{
    if (*count == max)
        return false;
    b->next = *list;
    *list = b;
    (*count)++;
    return true;
}

static void block_free(struct mux_pool *p, struct mux_block *b)
{
    p->bytes -= sizeof *b + b->cap;
    if (b->cap == SMALL_CAP && spare_push(&p->small, &p->small_spare, BLOCK_SMALL_SPARE, b))
        return;
    if (b->cap == LARGE_CAP && spare_push(&p->large, &p->large_spare, BLOCK_LARGE_SPARE, b))
        return;
    free(b);
}

void mux_pool_trim(struct mux_pool *p)
{
    struct mux_block *b;
    while ((b = spare_pop(&p->small, &p->small_spare)))
        free(b);
    while ((b = spare_pop(&p->large, &p->large_spare)))
        free(b);
}

static struct mux_block *append(struct mux_queue *q, struct mux_block *b)
{
    if (b) {
        if (q->tail)
            q->tail->next = b;
        else
            q->head = b;
        q->tail = b;
    }
    return b;
}

size_t mux_queue_push_data(struct mux_queue *q, struct mux_pool *p, struct bytes d)
{
    size_t taken = 0;
    while (taken < d.len) {
        struct mux_block *b = q->tail;
        if (!b || b->type != MUX_DATA || b->end == b->cap)
            b = append(q, block_new(p, MUX_DATA, d.len - taken <= SMALL_CAP ? SMALL_CAP : LARGE_CAP));
        if (!b)
            break;
        size_t n = b->cap - b->end < d.len - taken ? b->cap - b->end : d.len - taken;
        memcpy(b->at + b->end, d.at + taken, n);
        b->end += (uint32_t)n;
        taken += n;
    }
    return taken;
}

struct mux_block *mux_queue_push_message(struct mux_queue *q, struct mux_pool *p, enum mux_frame type,
                                         size_t total)
{
    assert(type == MUX_HEAD || type == MUX_TRAILERS);
    return append(q, block_new(p, (uint8_t)type, total));
}

void mux_queue_extend(struct mux_queue *q, struct bytes d)
{
    struct mux_block *b = q->tail;
    assert(b && b->type != MUX_DATA && d.len <= b->cap - b->end);
    if (d.len > 0)
        memcpy(b->at + b->end, d.at, d.len);
    b->end += (uint32_t)d.len;
}

struct mux_message mux_queue_front(const struct mux_queue *q)
{
    const struct mux_block *b = q->head;
    if (!b || (b->type != MUX_DATA && b->end < b->cap))
        return (struct mux_message){0};
    return (struct mux_message){.type = b->type, .payload = bytes_of(b->at + b->begin, b->end - b->begin)};
}

void mux_queue_pop(struct mux_queue *q, struct mux_pool *p, size_t n)
{
    struct mux_block *b = q->head;
    assert(b && n <= b->end - b->begin);
    b->begin += (uint32_t)n;
    if (b->begin < b->end)
        return;
    q->head = b->next;
    if (!q->head)
        q->tail = NULL;
    block_free(p, b);
}

size_t mux_queue_data_run(const struct mux_queue *q, size_t limit)
{
    size_t run = 0;
    for (const struct mux_block *b = q->head; b && b->type == MUX_DATA && run < limit; b = b->next)
        run += b->end - b->begin;
    return run < limit ? run : limit;
}

void mux_queue_clear(struct mux_queue *q, struct mux_pool *p)
{
    while (q->head) {
        struct mux_block *b = q->head;
        q->head = b->next;
        block_free(p, b);
    }
    q->tail = NULL;
}
