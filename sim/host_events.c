/* What gossip asks its host, and what it tells it: facts go to the disk as they come. */
#include "sim/host_parts.h"

#include "sim/oracle.h"
#include "sim/policies.h"
#include "trust/sign.h"

/* ---- gossip's questions ---- */

static bool is_of_layout_2(const struct host *h, const struct gossip_claim *claim)
{
    const struct signed_record *r = signer_find(h->world->signer, &claim->hash);
    return r && r->words.layout >= 2;
}

static enum err verify_record(void *arg, struct bytes record, struct gossip_claim *out)
{
    struct host *h = arg;
    enum err e = signer_verify(h->world->signer, record, out);
    if (e == ERR_OK && h->world->policies && policies_revokes(h->world, h->index, &out->id))
        return ERR_DENIED;
    if (e == ERR_OK && h->protocol == 1 && is_of_layout_2(h, out))
        return ERR_MALFORMED; /* as its code of that time says */
    if (e == ERR_OK)
        oracle_verified(h->world, h->index, out);
    else
        h->world->figures.forged_seen++;
    return e;
}

static struct bytes find_document(void *arg, const struct hash *hash)
{
    struct host *h = arg;
    const struct doc *d = h->disk.doc;
    if (h->world->policies && !(d && hash_eq(&d->hash, hash)))
        d = policies_find(h->world, h->index, hash);
    return d && hash_eq(&d->hash, hash) ? buf_bytes(&d->bytes) : bytes_of(NULL, 0);
}

struct gossip_verify host_verify(struct host *h)
{
    return (struct gossip_verify){verify_record, find_document, h};
}

/* ---- what gossip tells ---- */

static bool was_judged_wrongly(const struct host *h, const struct host *subject)
{
    const struct world *w = h->world;
    mono_us quiet = SEC(30);
    return subject->state == HOST_UP && w->now > subject->stable_since + quiet && wire_is_whole(&w->wire) &&
           w->now > w->network_since + quiet && w->now > h->stable_since + quiet;
}

static void note_change(struct host *h, uint32_t subject, const struct gossip_event *ev)
{
    struct world *w = h->world;
    struct host *s = &w->host[subject];
    bool is_gone = !host_is_running(s) && !s->is_left && w->died_at[subject];
    enum gossip_state before = ev->is_new ? GOSSIP_ALIVE : ev->before;
    if (ev->after == GOSSIP_SUSPECT && before != GOSSIP_SUSPECT)
        w->figures.suspicions++;
    if (is_gone && before == GOSSIP_ALIVE && ev->after != GOSSIP_ALIVE)
        samples_add(&w->figures.suspicion, w->now - w->died_at[subject]);
    if (ev->after != GOSSIP_DEAD || before == GOSSIP_DEAD)
        return;
    if (is_gone)
        samples_add(&w->figures.detection, w->now - w->died_at[subject]);
    if (was_judged_wrongly(h, s))
        w->figures.false_deaths++;
}

static void on_member(struct host *h, const struct gossip_event *ev)
{
    struct world *w = h->world;
    uint32_t subject = signer_host_of(w->signer, &ev->id);
    const struct signed_record *r = oracle_accepted(w, h->index, &ev->id, ev->record);
    trace_line(&w->trace, w->now, "%u holds %u %s (was %s)%s%s", h->index, subject,
               gossip_state_text(ev->after), gossip_state_text(ev->before), ev->is_new ? ", new" : "",
               ev->record_changed ? ", newer record" : "");
    if (w->policies && ev->is_new)
        policies_meet(w, h->index);
    if (!r || subject >= w->config.hosts)
        return;
    oracle_changed(w, h->index, subject, ev, r);
    h->disk.member[subject] = r->number;
    note_change(h, subject, ev);
    if (w->watch)
        w->watch(w, h->index, subject, ev);
}

/* The policy's own signature stands behind this in the agent; here a document counts if it is one that was
 * published. */
static void on_doc(struct host *h, const struct gossip_event *ev)
{
    struct world *w = h->world;
    if (w->on_doc) {
        w->on_doc(w, h->index, ev);
        return;
    }
    struct hash hash = hash_of(ev->doc);
    for (size_t i = 0; i < w->doc_count; i++) {
        const struct doc *d = &w->doc[i];
        if (!hash_eq(&d->hash, &hash) || (h->disk.doc && h->disk.doc->version >= d->version))
            continue;
        h->disk.doc = d;
        trace_line(&w->trace, w->now, "%u has document version %llu", h->index,
                   (unsigned long long)d->version);
        gossip_doc_set(h->gossip, DOC_KIND, d->epoch, d->version, &d->hash, host_ms(h));
        return;
    }
    trace_line(&w->trace, w->now, "%u refuses a document", h->index);
}

static void on_left_sent(struct host *h)
{
    h->world->died_at[h->index] = 0;
    h->is_left = true;
    trace_line(&h->world->trace, h->world->now, "%u has said good-bye", h->index);
}

void host_on_event(struct host *h, const struct gossip_event *ev)
{
    struct world *w = h->world;
    switch (ev->type) {
    case GOSSIP_EV_MEMBER:
        on_member(h, ev);
        break;
    case GOSSIP_EV_WANT_INCARNATION:
        trace_line(&w->trace, w->now, "%u wants incarnation %llu", h->index, (unsigned long long)ev->number);
        host_own_want(h, ev->number);
        break;
    case GOSSIP_EV_DOC_RECEIVED:
        on_doc(h, ev);
        break;
    case GOSSIP_EV_EQUIVOCATION:
        w->figures.equivocations++;
        trace_line(&w->trace, w->now, "%u sees equivocation", h->index);
        break;
    case GOSSIP_EV_LEFT_SENT:
        on_left_sent(h);
        break;
    case GOSSIP_EV_JOINED:
        trace_line(&w->trace, w->now, "%u has joined", h->index);
        if (w->policies)
            policies_arrive(w, h->index);
        break;
    case GOSSIP_EV_MOVED:
        trace_line(&w->trace, w->now, "%u has moved", h->index);
        host_own_publish(h, h->wants_to_leave);
        break;
    case GOSSIP_EV_RECALLED:
        host_own_recalled(h, ev->number);
        break;
    case GOSSIP_EV_FORGOTTEN:
    case GOSSIP_EV_DOC_OFFERED:
        break;
    }
}
