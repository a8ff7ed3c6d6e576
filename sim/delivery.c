#include "sim/delivery.h"

#include <stdlib.h>

enum { SMALL_BYTES = 1280, KEPT_MAX = 65536 };

/* The free list of small ones, linked through their first bytes. The simulator is one thread. */
struct spare {
    struct spare *next;
};
static struct spare *spares;
static size_t kept;

static void *room_for(size_t len)
{
    if (len > SMALL_BYTES || !spares)
        return malloc(sizeof(struct delivery) + (len > SMALL_BYTES ? len : SMALL_BYTES));
    struct spare *s = spares;
    spares = s->next;
    kept--;
    return s;
}

struct delivery *delivery_new(const struct delivery *header, struct bytes msg)
{
    struct delivery *d = room_for(msg.len);
    if (!d)
        abort(); /* a simulation that is out of memory has no result */
    *d = *header;
    d->len = msg.len;
    if (msg.len > 0)
        memcpy(d->msg, msg.at, msg.len);
    return d;
}

void delivery_free(struct delivery *d)
{
    if (!d)
        return;
    if (d->len > SMALL_BYTES || kept >= KEPT_MAX) {
        free(d);
        return;
    }
    struct spare *s = (struct spare *)d;
    s->next = spares;
    spares = s;
    kept++;
}
