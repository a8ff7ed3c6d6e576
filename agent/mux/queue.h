/* A queue of one stream's messages in order, and the pool its memory comes from. Both halves of a stream use
 * it.
 *
 * A HEAD or TRAILERS is one block; DATA is joined and cut freely over blocks of two
 * sizes, small for a trickle and large for a flood, which are kept for reuse. An empty queue holds no memory.
 * Blocks never move, so what mux_queue_front() returned stays where it is until it is popped. */
#ifndef MUX_QUEUE_H
#define MUX_QUEUE_H

#include "base/bytes.h"
#include "mux/mux.h"

enum {
    BLOCK_SMALL = 2 * 1024, /* bytes of a block of DATA, its header included */
    BLOCK_LARGE = 16 * 1024,
    BLOCK_KINDS = 8, /* of blocks that are kept for reuse, in queue.c; a longer message gets one of its own */
};

struct mux_block {
    struct mux_block *next;
    uint32_t begin, end; /* what is in it */
    uint32_t cap;
    uint32_t
        size; /* HEAD, TRAILERS: of the whole message, at least half of cap unless that is the least there is */
    uint8_t type; /* HEAD, DATA, TRAILERS */
    uint8_t kind;
    uint8_t at[];
};

struct mux_pool {
    struct mux_block
        *spare[BLOCK_KINDS]; /* per link; beyond its kind's limit a block is given back to the allocator */
    uint32_t spare_count[BLOCK_KINDS];
    size_t bytes; /* held by blocks in use */
};

/* Gives the spare blocks back: for an idle link. */
void mux_pool_trim(struct mux_pool *p);

/* Zero-initialised is empty. */
struct mux_queue {
    struct mux_block *head, *tail;
};

/* Appends DATA; returns how much of it was taken: less than d.len only when memory is short. */
size_t mux_queue_push_data(struct mux_queue *q, struct mux_pool *p, struct bytes d);
/* Appends an unfinished message of `total` bytes; NULL when memory is short. Add its bytes with
 * mux_queue_extend(). */
struct mux_block *mux_queue_push_message(struct mux_queue *q, struct mux_pool *p, enum mux_frame type,
                                         size_t total);
/* Adds bytes to the unfinished message at the tail; they must fit in what is missing. */
void mux_queue_extend(struct mux_queue *q, struct bytes d);

/* What is at the front: type 0 when empty, or when the front message is not complete yet. */
struct mux_message mux_queue_front(const struct mux_queue *q);
/* Takes n bytes off the front block (n <= its length); a message block goes when its last byte goes. */
void mux_queue_pop(struct mux_queue *q, struct mux_pool *p, size_t n);
/* How many DATA bytes are at the front, counted up to `limit`. */
size_t mux_queue_data_run(const struct mux_queue *q, size_t limit);
void mux_queue_clear(struct mux_queue *q, struct mux_pool *p);

#endif
