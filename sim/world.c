#include "sim/world.h"

#include <stdarg.h>
#include <stdlib.h>

#include "sim/capture.h"
#include "sim/forger.h"
#include "sim/liars.h"
#include "sim/must.h"
#include "sim/oracle.h"
#include "sim/policies.h"
#include "trust/sign.h"

enum { AGREE_STEP_US = 20 * 1000 }; /* how often world_agree() asks: the resolution of convergence times */

struct world *world_new(const struct world_config *config)
{
    struct world *w = must_zeros(1, sizeof *w);
    w->config = *config;
    w->rng = rng_seeded(config->seed);
    w->began = w->now =
        SEC(1000) + rng_below(&w->rng, (uint32_t)SEC(10)); /* nobody may count on a clock that begins at 0 */
    trace_init(&w->trace, config->is_printed);
    w->trace.zero = w->now;
    wire_init(&w->wire, &config->wire, config->hosts, config->seed);
    w->signer = signer_new(config->hosts);
    w->pool = must(gossip_pool_new());
    w->config.gossip.pool = w->pool;
    w->died_at = must_zeros(config->hosts, sizeof *w->died_at);
    w->host = must_zeros(config->hosts, sizeof *w->host);
    for (uint32_t h = 0; h < config->hosts; h++)
        host_init(&w->host[h], w, h);
    w->network_since = w->now;
    w->next_oracle = w->now;
    w->dead_bound = SEC(60);
    w->repaired = UINT32_MAX;
    return w;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    for (uint32_t h = 0; h < w->config.hosts; h++)
        host_fini(&w->host[h]);
    for (size_t i = 0; i < w->doc_count; i++)
        buf_fini(&w->doc[i].bytes);
    gossip_pool_free(w->pool);
    forger_free(w->forger);
    liars_free(w->liars);
    capture_free(w->capture);
    policies_free(w->policies);
    future_fini(&w->future);
    wire_fini(&w->wire);
    signer_free(w->signer);
    samples_fini(&w->figures.suspicion);
    samples_fini(&w->figures.detection);
    samples_fini(&w->figures.convergence);
    free(w->died_at);
    free(w->host);
    free(w);
}

bool world_fail(struct world *w, const char *fmt, ...)
{
    if (*w->failure)
        return false;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->failure, sizeof w->failure, fmt, ap);
    va_end(ap);
    trace_line(&w->trace, w->now, "FAILED: %s", w->failure);
    return false;
}

bool world_is_well(const struct world *w)
{
    return !*w->failure;
}

/* Host `first` and those after it learn what the hosts say now. */
static void acquaint(struct world *w, struct gossip **all, uint32_t first, uint32_t count)
{
    uint32_t hosts = w->config.hosts;
    must_ok(gossip_acquaint(all + first, count, all, hosts));
    for (uint32_t h = first; h < first + count; h++)
        for (uint32_t m = 0; m < hosts; m++)
            w->host[h].disk.member[m] = w->host[m].own->number;
}

void world_acquaint_but(struct world *w, uint32_t missed)
{
    uint32_t hosts = w->config.hosts;
    struct gossip **all = must_zeros(hosts, sizeof(struct gossip *));
    assert(missed < hosts);
    for (uint32_t h = 0; h < hosts; h++) {
        assert(w->host[h].state == HOST_NEW);
        host_begin(w, h);
        all[h] = w->host[h].gossip;
    }
    if (missed > 0) {
        acquaint(w, all, hosts - 1, 1);
        for (uint32_t h = 0; h < missed; h++)
            host_publish(w, h);
    }
    acquaint(w, all, 0, missed > 0 ? hosts - 1 : hosts);
    free(all);
    for (uint32_t h = 0; h < hosts; h++)
        host_pump(&w->host[h]);
}

void world_acquaint(struct world *w)
{
    world_acquaint_but(w, 0);
}

/* ---- time ---- */

static void happen(struct world *w, struct happening *x)
{
    struct host *h = &w->host[x->host];
    w->figures.events++;
    switch (x->kind) {
    case HAPPENS_TIMER:
        if (x->generation == h->generation && x->at == h->timer_at)
            host_timer(h);
        break;
    case HAPPENS_ARRIVAL:
        host_arrival(&w->host[x->delivery->to], x->delivery);
        break;
    case HAPPENS_BULK_FAILURE:
        if (x->generation == h->generation)
            host_bulk_failed(h, x->delivery);
        delivery_free(x->delivery);
        break;
    case HAPPENS_CALL:
        x->call(w, x->host);
        break;
    }
}

bool world_run(struct world *w, mono_us duration)
{
    mono_us until = w->now + duration;
    struct happening x;
    while (world_is_well(w) && future_pop(&w->future, until, &x)) {
        w->now = x.at;
        happen(w, &x);
        if (w->now >= w->next_oracle)
            w->next_oracle = oracle_look(w);
    }
    if (world_is_well(w))
        w->now = until;
    return world_is_well(w);
}

bool world_agree(struct world *w, mono_us bound, const char *after_what)
{
    mono_us start = w->now;
    char difference[160];
    while (!oracle_agree(w, difference, sizeof difference)) {
        if (w->now - start >= bound)
            return world_fail(w, "%llu ms after %s: %s", (unsigned long long)((w->now - start) / 1000),
                              after_what, difference);
        if (!world_run(w, AGREE_STEP_US))
            return false;
    }
    samples_add(&w->figures.convergence, w->now - start);
    trace_line(&w->trace, w->now, "all agree %llu ms after %s", (unsigned long long)((w->now - start) / 1000),
               after_what);
    return world_is_well(w);
}

void world_after(struct world *w, mono_us delay, uint32_t host, void (*call)(struct world *w, uint32_t host))
{
    future_push(&w->future,
                &(struct happening){.at = w->now + delay, .kind = HAPPENS_CALL, .host = host, .call = call});
}

/* ---- acts ---- */

void world_cut(struct world *w, uint32_t a, uint32_t b, bool is_cut)
{
    w->wire.cut[a][b] = is_cut;
    w->network_since = w->now;
    trace_line(&w->trace, w->now, "network: group %u to group %u %s", a, b, is_cut ? "cut" : "open");
}

void world_cut_both_ways(struct world *w, uint32_t a, uint32_t b, bool is_cut)
{
    world_cut(w, a, b, is_cut);
    world_cut(w, b, a, is_cut);
}

const struct doc *world_publish(struct world *w, uint32_t host, uint64_t version, size_t bytes)
{
    assert(w->doc_count < WORLD_DOCS_MAX);
    struct doc *d = &w->doc[w->doc_count++];
    *d = (struct doc){.epoch = 1, .version = version};
    for (size_t i = 0; i < bytes; i++)
        buf_add_u8(&d->bytes, (uint8_t)rng_u64(&w->rng));
    d->hash = hash_of(buf_bytes(&d->bytes));
    trace_line(&w->trace, w->now, "%u publishes version %llu, %zu bytes", host, (unsigned long long)version,
               bytes);
    host_hold(w, host, d);
    return d;
}

void world_inject(struct world *w, uint32_t from, bool is_outsiders, uint32_t to, enum gossip_lane lane,
                  struct bytes msg)
{
    struct delivery header = {.lane = lane,
                              .from = from,
                              .to = to,
                              .to_generation = w->host[to].generation,
                              .is_outsiders = is_outsiders,
                              .to_id = *signer_id(w->signer, to),
                              .addr = signer_addr(to, w->host[to].door)};
    struct delivery *d = delivery_new(&header, msg);
    trace_message(&w->trace, w->now, "forges", from, to, lane == GOSSIP_BULK ? "bulk" : "datagram", msg);
    future_push(
        &w->future,
        &(struct happening){.at = w->now + w->config.wire.delay_us, .kind = HAPPENS_ARRIVAL, .delivery = d});
}
