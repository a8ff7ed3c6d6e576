#include "sim/delivery.h"

#include <stdlib.h>

#include "sim/must.h"

/* Free lists of small ones and of those that hold any datagram, linked through their first bytes: most messages are small,
 * and what lies close together is in the processor's caches. The simulator is one thread. */
enum { SIZES = 2, KEPT_MAX = 65536 };
static const size_t size_bytes[SIZES] = {256, 1280};
struct spare {
    struct spare *next;
};
static struct spare *spares[SIZES];
static size_t kept[SIZES];

/* SIZES: a size of its own. */
static unsigned size_of(size_t len)
{
    return len <= size_bytes[0] ? 0 : len <= size_bytes[1] ? 1 : SIZES;
}

static void *room_for(size_t len)
{
    unsigned size = size_of(len);
    if (size == SIZES || !spares[size])
        return malloc(sizeof(struct delivery) + (size == SIZES ? len : size_bytes[size]));
    struct spare *s = spares[size];
    spares[size] = s->next;
    kept[size]--;
    return s;
}

struct delivery *delivery_new(const struct delivery *header, struct bytes msg)
{
    struct delivery *d = must(room_for(msg.len));
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
    unsigned size = size_of(d->len);
    if (size == SIZES || kept[size] >= KEPT_MAX) {
        free(d);
        return;
    }
    struct spare *s = (struct spare *)d;
    s->next = spares[size];
    spares[size] = s;
    kept[size]++;
}
