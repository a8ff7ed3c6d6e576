#include "gossip/rumor.h"

#include <assert.h>
#include <stdlib.h>

#include "gossip/member.h"

void rumors_init(struct rumors *q)
{
    for (int c = 0; c < RUMOR_CLASSES; c++) {
        for (int s = 0; s < RUMOR_SENDS_MAX; s++)
            TAILQ_INIT(&q->by_sends[c][s]);
        TAILQ_INIT(&q->eager[c]);
        q->count[c] = q->used[c] = 0;
    }
    q->eager_count = 0;
}

void rumors_fini(struct rumors *q)
{
    for (int c = 0; c < RUMOR_CLASSES; c++)
        for (struct rumor *r; (r = rumors_first(q, (enum rumor_class)c));)
            rumors_drop(q, r);
}

static void list(struct rumors *q, struct rumor *r, uint8_t sends)
{
    static_assert((int)RUMOR_SENDS_MAX <= 32, "a bit for each list");
    r->sends = sends;
    TAILQ_INSERT_TAIL(&q->by_sends[r->class][sends], r, by_sends);
    q->used[r->class] |= UINT32_C(1) << sends;
}

static void unlist(struct rumors *q, struct rumor *r)
{
    struct rumor_list *of = &q->by_sends[r->class][r->sends];
    TAILQ_REMOVE(of, r, by_sends);
    if (TAILQ_EMPTY(of))
        q->used[r->class] &= ~(UINT32_C(1) << r->sends);
}

static void unlink_rumor(struct rumors *q, struct rumor *r)
{
    unlist(q, r);
    rumors_eager(q, r, 0);
}

void rumors_drop(struct rumors *q, struct rumor *r)
{
    if (!r)
        return;
    assert(*r->home == r);
    unlink_rumor(q, r);
    *r->home = NULL;
    q->count[r->class]--;
    if (r->subject)
        member_settle(r->subject);
    free(r);
}

static void drop_most_sent(struct rumors *q, enum rumor_class class)
{
    if (q->used[class])
        rumors_drop(q, TAILQ_FIRST(&q->by_sends[class][31 - __builtin_clz(q->used[class])]));
}

struct rumor *rumors_put(struct rumors *q, enum rumor_class class, struct rumor **home)
{
    struct rumor *r = *home;
    if (r) {
        assert(r->home == home);
        unlink_rumor(q, r);
        q->count[r->class]--;
        q->count[class]++;
        r->class = (uint8_t) class;
    } else {
        if (q->count[class] >= RUMORS_MAX)
            drop_most_sent(q, class);
        r = calloc(1, sizeof *r);
        if (!r)
            return NULL;
        q->count[class]++;
        r->class = (uint8_t) class;
        r->home = home;
        *home = r;
    }
    r->is_wave = r->is_refused = r->is_hint = false;
    list(q, r, 0);
    return r;
}

void rumors_eager(struct rumors *q, struct rumor *r, uint8_t times)
{
    if (r->eager_left > 0)
        TAILQ_REMOVE(&q->eager[r->class], r, eager);
    if (times > 0) /* behind the others: they have waited longer or were sent less often */
        TAILQ_INSERT_TAIL(&q->eager[r->class], r, eager);
    q->eager_count += (times > 0) - (r->eager_left > 0);
    r->eager_left = times;
}

bool rumors_sent(struct rumors *q, struct rumor *r, bool eager, uint8_t limit)
{
    if (eager && r->eager_left > 0)
        rumors_eager(q, r, (uint8_t)(r->eager_left - 1));
    if (r->sends + 1 >= limit || r->sends + 1 >= RUMOR_SENDS_MAX) {
        if (r->eager_left > 0 || r->owes_wave)
            return false; /* in a small mesh the first pushes are as many as the limit: the second wave is still to come */
        rumors_drop(q, r);
        return true;
    }
    unlist(q, r);
    list(q, r, (uint8_t)(r->sends + 1));
    return false;
}

static struct rumor *first_from(const struct rumors *q, int class, int sends)
{
    uint32_t used = sends < RUMOR_SENDS_MAX ? q->used[class] >> sends << sends : 0;
    return used ? TAILQ_FIRST(&q->by_sends[class][__builtin_ctz(used)]) : NULL;
}

struct rumor *rumors_first(const struct rumors *q, enum rumor_class class)
{
    return first_from(q, class, 0);
}

struct rumor *rumors_next(const struct rumors *q, const struct rumor *r)
{
    struct rumor *next = TAILQ_NEXT(r, by_sends);
    return next ? next : first_from(q, r->class, r->sends + 1);
}

bool rumors_is_eager(const struct rumors *q)
{
    return q->eager_count > 0;
}

void rumors_forget(struct rumors *q, struct member *m)
{
    rumors_drop(q, member_fresh(m));
    rumors_drop(q, member_opinion(m));
    for (int c = 0; c < RUMOR_CLASSES; c++)
        for (struct rumor *r = rumors_first(q, (enum rumor_class)c); r; r = rumors_next(q, r))
            if (r->source == m)
                r->source = NULL;
}
