/* See queue.h. */
#include "mux/queue.h"

#include <assert.h>
#include <stdlib.h>

/* Messages have powers of two, so that a block is at most twice what the peer paid for in credit. */
enum { KIND_SMALL = BLOCK_KINDS - 2, KIND_LARGE, KIND_OWN };
enum {
    SMALL_CAP = BLOCK_SMALL - sizeof(struct mux_block),
    LARGE_CAP = BLOCK_LARGE - sizeof(struct mux_block)
};
static const struct {
    uint32_t cap, spare_max;
} kinds[BLOCK_KINDS] = {
    {32, 256},
    {64, 256},
    {128, 256},
    {256, 256},
    {512, 128},
    {1024, 64},
    [KIND_SMALL] = {SMALL_CAP, 256},
    [KIND_LARGE] = {LARGE_CAP, 16},
};

static uint8_t kind_of_message(size_t size)
{
    uint8_t kind = 0;
    while (kind < KIND_SMALL && size > kinds[kind].cap)
        kind++;
    return kind < KIND_SMALL ? kind : KIND_OWN;
}

static struct mux_block *spare_pop(struct mux_pool *p, uint8_t kind)
{
    struct mux_block *b = p->spare[kind];
    if (b) {
        p->spare[kind] = b->next;
        p->spare_count[kind]--;
    }
    return b;
}

static struct mux_block *block_new(struct mux_pool *p, uint8_t type, uint8_t kind, size_t size)
{
    size_t cap = kind == KIND_OWN ? size : kinds[kind].cap;
    struct mux_block *b = kind == KIND_OWN ? NULL : spare_pop(p, kind);
    if (!b)
        b = malloc(sizeof *b + cap);
    if (!b)
        return NULL;
    *b = (struct mux_block){.cap = (uint32_t)cap, .size = (uint32_t)size, .type = type, .kind = kind};
    p->bytes += sizeof *b + cap;
    return b;
}

static void block_free(struct mux_pool *p, struct mux_block *b)
{
    p->bytes -= sizeof *b + b->cap;
    if (b->kind == KIND_OWN || p->spare_count[b->kind] == kinds[b->kind].spare_max) {
        free(b);
        return;
    }
    b->next = p->spare[b->kind];
    p->spare[b->kind] = b;
    p->spare_count[b->kind]++;
}

void mux_pool_trim(struct mux_pool *p)
{
    struct mux_block *b;
    for (uint8_t kind = 0; kind < BLOCK_KINDS; kind++)
        while ((b = spare_pop(p, kind)))
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
            b = append(q, block_new(p, MUX_DATA, d.len - taken <= SMALL_CAP ? KIND_SMALL : KIND_LARGE, 0));
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
    return append(q, block_new(p, (uint8_t)type, kind_of_message(total), total));
}

void mux_queue_extend(struct mux_queue *q, struct bytes d)
{
    struct mux_block *b = q->tail;
    assert(b && b->type != MUX_DATA && d.len <= b->size - b->end);
    if (d.len > 0)
        memcpy(b->at + b->end, d.at, d.len);
    b->end += (uint32_t)d.len;
}

struct mux_message mux_queue_front(const struct mux_queue *q)
{
    const struct mux_block *b = q->head;
    if (!b || (b->type != MUX_DATA && b->end < b->size))
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
