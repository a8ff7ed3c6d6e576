/* docs.c: documents announced by (epoch, version, hash) and pulled by hash. One fetch at a time per kind; an
 * offer that fails (no answer, no document, or the embedder did not adopt it) gives way to the next.
 *
 *   IDLE --offer--> ASKED --document--> DELIVERED --gossip_doc_set()--> IDLE (and now we offer it)
 *                     '--failed, late, empty--> IDLE, strike   '--not adopted in time--> IDLE, strike
 *
 * Nothing here says that an offer is true: a member may offer any number. So offers of members without
 * strikes come first, however high the numbers of the others, and of a member with strikes nothing is asked but in one second
 * of 2^strikes: liars cannot keep a good version out (ADVERSARY G11, G19). Its offer waits for that second: it may be the
 * only one who has the version, and repeats it seldom once we have refused (range.c). Only what the embedder announced by gossip_doc_set() is offered on. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

int doc_cmp(const struct doc_version *a, const struct doc_version *b)
{
    if (a->epoch != b->epoch)
        return a->epoch > b->epoch ? 1 : -1;
    if (a->version != b->version)
        return a->version > b->version ? 1 : -1;
    return -memcmp(a->hash.b, b->hash.b, HASH_BYTES); /* the lower hash wins everywhere */
}

struct doc_kind *docs_find(struct gossip *g, uint8_t kind)
{
    for (uint32_t i = 0; i < g->doc_kind_count; i++)
        if (g->doc_kinds[i].kind == kind)
            return &g->doc_kinds[i];
    return NULL;
}

/* There is room for every kind that may be named, so nobody uses it up by naming others. All are allocated at once: rumors point
 * into them. NULL: no such kind, or no memory. */
static struct doc_kind *find_or_add(struct gossip *g, uint8_t kind)
{
    struct doc_kind *k = docs_find(g, kind);
    if (k || kind == 0 || kind > GOSSIP_DOC_KINDS_MAX)
        return k;
    if (!g->doc_kinds)
        g->doc_kinds = calloc(GOSSIP_DOC_KINDS_MAX, sizeof *g->doc_kinds);
    if (!g->doc_kinds)
        return NULL;
    k = &g->doc_kinds[g->doc_kind_count++];
    k->kind = kind;
    k->deadline = NEVER;
    return k;
}

void docs_fini(struct gossip *g)
{
    for (uint32_t i = 0; i < g->doc_kind_count; i++) {
        rumors_drop(&g->rumors, g->doc_kinds[i].rumor);
        buf_fini(&g->doc_kinds[i].received);
    }
    free(g->doc_kinds);
}

/* Offers. */

static void offer_remove(struct doc_kind *k, uint32_t i)
{
    memmove(&k->offer[i], &k->offer[i + 1], (k->offers - i - 1u) * sizeof k->offer[0]);
    k->offers--;
}

static void drop_obsolete(struct doc_kind *k)
{
    for (uint32_t i = 0; i < k->offers;)
        if (k->is_held && doc_cmp(&k->offer[i].doc, &k->held) <= 0)
            offer_remove(k, i);
        else
            i++;
}

static uint8_t strikes_of(const struct gossip *g, const struct node_id *id)
{
    const struct member *m = members_find(&g->members, id);
    return m ? m->doc_strikes : STRIKES_MAX;
}

/* > 0: a is to be tried before b. */
static int offer_cmp(const struct gossip *g, const struct doc_offer *a, const struct doc_offer *b)
{
    int trust = (int)strikes_of(g, &b->from) - (int)strikes_of(g, &a->from);
    return trust != 0 ? trust : doc_cmp(&a->doc, &b->doc);
}

static uint32_t offer_best(const struct gossip *g, const struct doc_kind *k)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < k->offers; i++)
        if (offer_cmp(g, &k->offer[i], &k->offer[best]) > 0)
            best = i;
    return best;
}

/* A pure function of strikes and time, so that nothing need be stored: a door that opens for one second in 2^strikes. Who has fewer
 * strikes is let in whenever one with more is. */
static mono_ms door_opens_at(const struct gossip *g, uint8_t strikes)
{
    mono_ms every = (mono_ms)1000 << strikes;
    return strikes == 0 || g->now % every < 1000 ? g->now : (g->now / every + 1) * every;
}

/* When the best offer may be asked for; NEVER: there is none. */
static mono_ms offer_ready_at(const struct gossip *g, const struct doc_kind *k)
{
    return k->offers > 0 ? door_opens_at(g, strikes_of(g, &k->offer[offer_best(g, k)].from)) : NEVER;
}

static void offer_put(const struct gossip *g, struct doc_kind *k, const struct doc_offer *offer)
{
    for (uint32_t i = 0; i < k->offers; i++)
        if (node_id_eq(&k->offer[i].from, &offer->from)) {
            k->offer[i] = *offer; /* one offer per member */
            return;
        }
    if (k->offers == DOC_OFFERS_MAX) {
        uint32_t worst = 0;
        for (uint32_t i = 1; i < k->offers; i++)
            if (offer_cmp(g, &k->offer[i], &k->offer[worst]) < 0)
                worst = i;
        if (offer_cmp(g, offer, &k->offer[worst]) <= 0)
            return;
        offer_remove(k, worst);
    }
    k->offer[k->offers++] = *offer;
}

/* Fetching. */

static void ask(struct gossip *g, struct doc_kind *k)
{
    while (k->fetch == FETCH_IDLE && offer_ready_at(g, k) <= g->now) {
        uint32_t best = offer_best(g, k);
        struct doc_offer offer = k->offer[best];
        struct member *m = members_find(&g->members, &offer.from);
        struct addr addr;
        offer_remove(k, best);
        struct job *job = m && apply_addr(g, m, &addr) ? jobs_add(g, JOB_DOC_GET, member_id(m), &addr) : NULL;
        if (!job)
            continue;
        job->doc = offer.doc;
        k->asked = offer.doc;
        k->asked_of = offer.from;
        k->fetch = FETCH_ASKED;
        k->deadline = g->now + BULK_WAIT_MS;
        k->is_offered_event = true;
    }
}

static void finish(struct gossip *g, struct doc_kind *k, bool is_good)
{
    struct member *m = members_find(&g->members, &k->asked_of);
    if (m && is_good)
        m->doc_strikes = 0;
    else if (m && m->doc_strikes < STRIKES_MAX)
        m->doc_strikes++;
    k->fetch = FETCH_IDLE;
    k->deadline = NEVER;
    k->is_offered_event = false;
    k->is_received_event = false;
    buf_fini(&k->received);
    drop_obsolete(k);
    ask(g, k);
}

/* A liar that keeps silent holds the one fetch: not for long if a better or another offer waits. */
static void hurry(struct gossip *g, struct doc_kind *k)
{
    if (k->fetch != FETCH_ASKED || offer_ready_at(g, k) > g->now)
        return;
    if (strikes_of(g, &k->offer[offer_best(g, k)].from) < strikes_of(g, &k->asked_of))
        finish(g, k, false);
    else
        k->deadline = mono_min(k->deadline, g->now + DOC_PATIENCE_MS);
}

void docs_offered(struct gossip *g, struct member *from, const struct doc_version *doc)
{
    struct doc_kind *k = find_or_add(g, doc->kind);
    if (!k || doc->epoch >= DOC_NUMBER_MAX || doc->version >= DOC_NUMBER_MAX)
        return;
    if (k->is_held && doc_cmp(doc, &k->held) <= 0)
        return;
    if (k->fetch != FETCH_IDLE && node_id_eq(&k->asked_of, member_id(from)) && doc_cmp(doc, &k->asked) == 0)
        return; /* we are at it */
    const struct doc_offer offer = {*doc, *member_id(from)};
    offer_put(g, k, &offer);
    ask(g, k);
    hurry(g, k);
}

void docs_received(struct gossip *g, const struct node_id *from, const struct bulk *b)
{
    struct doc_kind *k = docs_find(g, b->doc.kind);
    if (!k || k->fetch != FETCH_ASKED || !node_id_eq(&k->asked_of, from))
        return;
    bool is_asked = hash_eq(&k->asked.hash, &b->doc.hash), is_newer = doc_cmp(&b->doc, &k->asked) > 0;
    if (!is_asked && !(is_newer && b->doc.epoch < DOC_NUMBER_MAX && b->doc.version < DOC_NUMBER_MAX))
        return;
    buf_add_bytes(&k->received, b->document);
    if (b->document.len == 0 || !buf_ok(&k->received)) {
        finish(g, k, false);
        return;
    }
    if (!is_asked)
        k->asked = b->doc; /* it was superseded meanwhile, and they sent what they hold now */
    k->fetch = FETCH_DELIVERED;
    k->deadline = g->now + DOC_CHECK_MS;
    k->is_received_event = true;
}

void docs_failed(struct gossip *g, const struct node_id *from)
{
    for (uint32_t i = 0; i < g->doc_kind_count; i++)
        if (g->doc_kinds[i].fetch == FETCH_ASKED && node_id_eq(&g->doc_kinds[i].asked_of, from))
            finish(g, &g->doc_kinds[i], false);
}

void docs_tick(struct gossip *g)
{
    for (uint32_t i = 0; i < g->doc_kind_count; i++) {
        struct doc_kind *k = &g->doc_kinds[i];
        if (k->fetch != FETCH_IDLE && k->deadline <= g->now)
            finish(g, k, false);
        ask(g, k);
    }
}

mono_ms docs_deadline(const struct gossip *g)
{
    mono_ms at = NEVER;
    for (uint32_t i = 0; i < g->doc_kind_count; i++) {
        const struct doc_kind *k = &g->doc_kinds[i];
        at = mono_min(at, k->fetch == FETCH_IDLE ? offer_ready_at(g, k) : k->deadline);
    }
    return at;
}

/* The embedder. */

void gossip_doc_set(struct gossip *g, uint8_t kind, uint64_t epoch, uint64_t version, const struct hash *hash,
                    mono_ms now)
{
    assert(now >= g->now && kind > 0 && kind <= GOSSIP_DOC_KINDS_MAX);
    g->now = now;
    struct doc_kind *k = find_or_add(g, kind);
    if (!k)
        return; /* no memory */
    struct doc_version doc = {kind, epoch, version, *hash};
    if (k->is_held && doc_cmp(&doc, &k->held) == 0)
        return;
    k->held = doc;
    k->is_held = true;
    bulk_docs_changed(g);
    tell_doc(g, k);
    if (k->fetch != FETCH_IDLE && doc_cmp(&k->asked, &doc) <= 0)
        finish(g, k, doc_cmp(&k->asked, &doc) == 0);
    drop_obsolete(k);
}

void gossip_doc_tell(struct gossip *g, uint8_t kind, const struct node_id *to, mono_ms now)
{
    struct doc_kind *k = docs_find(g, kind);
    struct member *m = members_find(&g->members, to);
    struct addr addr;
    assert(now >= g->now);
    g->now = now;
    if (k && k->is_held && m && m != g->self && apply_addr(g, m, &addr))
        outbox_put(&g->answers, &(struct out){.type = OUT_DOC, .to = m, .via = addr, .doc_kind = kind});
}

static void show(const struct doc_kind *k, struct gossip_event *out)
{
    out->id = k->asked_of;
    out->doc_kind = k->kind;
    out->doc_epoch = k->asked.epoch;
    out->doc_version = k->asked.version;
    out->doc_hash = k->asked.hash;
}

bool docs_event(struct gossip *g, struct gossip_event *out)
{
    for (uint32_t i = 0; i < g->doc_kind_count; i++) {
        struct doc_kind *k = &g->doc_kinds[i];
        if (!k->is_offered_event && !k->is_received_event)
            continue;
        show(k, out);
        if (k->is_offered_event) {
            k->is_offered_event = false;
            out->type = GOSSIP_EV_DOC_OFFERED;
            return true;
        }
        k->is_received_event = false;
        out->type = GOSSIP_EV_DOC_RECEIVED;
        buf_fini(&g->lent_doc);
        g->lent_doc = k->received;
        k->received = (struct buf){0};
        out->doc = buf_bytes(&g->lent_doc);
        return true;
    }
    return false;
}
