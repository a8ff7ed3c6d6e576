/* Members that lie: about a rollout in their records, and about what they hold. */
#include "sim/policies_parts.h"

enum {
    CLAIM_MS = 1000,
    INVENTED_FROM = 1000000, /* above every version that is really signed */
};

static const struct record_count worst = {1000000000, 1000000000, 1000000000, 60000000},
                                 best = {1000000000, 0, 0, 64};

void policies_say_lie(const struct policies_host *s, struct signed_policy *out)
{
    const struct sim_bundle *as = s->lie == LIE_NEW ? s->now.staged : s->now.base;
    struct record_rollout *r = &out->rollout;
    r->epoch = s->now.staged->doc.epoch;
    r->version = s->now.staged->doc.version;
    r->halted = s->lie == LIE_HALTED;
    if (s->lie == LIE_BAD) {
        r->before = best;
        r->after = worst;
    } else if (s->lie == LIE_GOOD) {
        r->before = worst;
        r->after = best;
    } else if ((s->lie == LIE_NEW || s->lie == LIE_OLD) && as) {
        out->epoch = as->doc.epoch;
        out->version = as->doc.version;
        out->hash = as->doc.hash;
    }
}

/* The next lie: a number that nobody has, and a hash under which it sends what it has (nothing, if it withholds). */
static void claim_again(struct world *w, uint32_t host)
{
    struct policies_host *s = policies_host_of(w, host);
    struct doc *d = &s->claimed;
    if (s->claim == CLAIM_NONE)
        return;
    world_after(w, MS(CLAIM_MS), host, claim_again);
    if (w->host[host].state != HOST_UP)
        return;
    if (s->claim != CLAIM_WITHHOLD) {
        d->version = (d->version > INVENTED_FROM ? d->version : INVENTED_FROM) + 1 + rng_below(&w->rng, 1000);
        for (size_t i = 0; i < HASH_BYTES; i++)
            d->hash.b[i] = (uint8_t)rng_u64(&w->rng);
    }
    host_hold(w, host, d);
}

void policies_claim(struct world *w, uint32_t host, enum policies_claim claim, const struct sim_bundle *b)
{
    struct policies_host *s = policies_host_of(w, host);
    bool was_honest = s->claim == CLAIM_NONE;
    s->claim = claim;
    s->claimed = b->doc; /* its bytes are borrowed */
    if (claim == CLAIM_WITHHOLD)
        s->claimed.bytes = (struct buf){0};
    if (was_honest)
        world_after(w, rng_below(&w->rng, MS(CLAIM_MS)), host, claim_again);
}
