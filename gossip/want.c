/* want.c: records that a notice told of and that are being pulled. By datagram when they fit into one, else
 * over the bulk lane. One that does not come is asked of another who announced it; after WANT_TRIES it is
 * left to anti-entropy. */
#include "gossip/core.h"

#include <assert.h>
#include <stdlib.h>

void wants_fini(struct gossip *g)
{
    free(g->wants.list);
}

static void want_remove(struct wants *w, uint32_t i)
{
    memmove(&w->list[i], &w->list[i + 1], (w->count - i - 1) * sizeof *w->list);
    w->count--;
}

static bool is_too_many(const struct wants *w, const struct member *source)
{
    uint32_t of_source = 0;
    for (uint32_t i = 0; i < w->count; i++)
        of_source += w->list[i].source[0] == source;
    return w->count == WANTS_MAX || of_source >= WANTS_PER_SOURCE;
}

static struct want *want_add(struct wants *w)
{
    if (w->count == w->cap) {
        uint32_t cap = w->cap ? w->cap * 2 : 4;
        struct want *list = realloc(w->list, cap * sizeof *list);
        if (!list)
            return NULL;
        w->list = list;
        w->cap = cap;
    }
    return &w->list[w->count++];
}

static void want_fill(struct want *want, struct member *source, const struct rumor_item *notice)
{
    *want = (struct want){.id = notice->subject,
                          .incarnation = notice->incarnation,
                          .version = notice->version,
                          .hash = notice->hash,
                          .source = {source, NULL},
                          .deadline = NEVER,
                          .record_bytes = notice->record_bytes,
                          .hops = notice->hops};
}

/* A second announcer of the same, or a newer record of the same subject. An older one is not worth anything.
 */
static void want_again(struct want *want, struct member *source, const struct rumor_item *notice)
{
    bool is_newer = notice->incarnation > want->incarnation ||
                    (notice->incarnation == want->incarnation && notice->version > want->version);
    bool is_same = notice->incarnation == want->incarnation && notice->version == want->version;
    bool was_asked_in_vain = want->tries >= 2; /* source[1] was, while source[0] is being asked */
    if (is_newer && want->source[0] != source && want->tries == 0)
        want_fill(want, source, notice);
    else if ((is_newer || is_same) && want->source[0] != source && (!want->source[1] || was_asked_in_vain))
        want->source[1] = source;
}

void wants_add(struct gossip *g, struct member *source, const struct rumor_item *notice)
{
    for (uint32_t i = 0; i < g->wants.count; i++)
        if (node_id_eq(&g->wants.list[i].id, &notice->subject)) {
            want_again(&g->wants.list[i], source, notice);
            return;
        }
    if (is_too_many(&g->wants, source) || notice->incarnation >= NUMBER_MAX || notice->version >= NUMBER_MAX)
        return;
    struct want *want = want_add(&g->wants);
    if (want)
        want_fill(want, source, notice);
}

void wants_done(struct gossip *g, const struct node_id *id, uint64_t incarnation, uint64_t version)
{
    for (uint32_t i = 0; i < g->wants.count; i++) {
        const struct want *want = &g->wants.list[i];
        if (!node_id_eq(&want->id, id))
            continue;
        if (incarnation > want->incarnation || (incarnation == want->incarnation && version >= want->version))
            want_remove(&g->wants, i);
        return;
    }
}

void wants_forget(struct gossip *g, const struct member *m)
{
    for (uint32_t i = 0; i < g->wants.count;) {
        struct want *want = &g->wants.list[i];
        if (want->source[1] == m)
            want->source[1] = NULL;
        if (want->source[0] == m) {
            want->source[0] = want->source[1];
            want->source[1] = NULL;
        }
        if (want->source[0])
            i++;
        else
            want_remove(&g->wants, i);
    }
}

void wants_tick(struct gossip *g)
{
    for (uint32_t i = 0; i < g->wants.count;) {
        struct want *want = &g->wants.list[i];
        if (!want->is_asked || want->deadline > g->now) {
            i++;
        } else if (want->tries >= WANT_TRIES) {
            want_remove(&g->wants, i);
        } else {
            struct member *other = want->source[1];
            if (other) {
                want->source[1] = want->source[0];
                want->source[0] = other;
            }
            want->is_asked = false;
            i++;
        }
    }
}

mono_ms wants_deadline(const struct gossip *g)
{
    mono_ms at = NEVER;
    for (uint32_t i = 0; i < g->wants.count; i++)
        if (g->wants.list[i].is_asked)
            at = mono_min(at, g->wants.list[i].deadline);
    return at;
}

static void asked(const struct gossip *g, struct want *want, uint32_t wait_ms)
{
    want->is_asked = true;
    want->tries++;
    want->deadline = g->now + wait_ms;
}

static bool is_bulky(const struct gossip *g, const struct want *want)
{
    return want->record_bytes + 4u + MESSAGE_HEADER > g->cfg.packet_bytes_max;
}

/* Asking once too often costs one record; waiting too long, when the question or the answer was lost, costs time. */
static uint32_t patience_ms(const struct gossip *g, const struct member *source, uint8_t tries)
{
    uint32_t rtt = detect_rtt_ms(g, source), wait = rtt ? rtt + WANT_SLACK_MS : WANT_WAIT_MS;
    wait = wait < WANT_WAIT_MS ? wait : WANT_WAIT_MS;
    while (tries-- > 0 && wait < WANT_WAIT_MAX_MS)
        wait *= 2;
    return wait < WANT_WAIT_MAX_MS ? wait : WANT_WAIT_MAX_MS;
}

/* All that is wanted of the source of `first` and fits a datagram, into one GET. */
static bool poll_get(struct gossip *g, const struct want *first, const struct addr *addr,
                     struct gossip_packet *out)
{
    uint8_t ids[GET_IDS_MAX * ID_BYTES];
    size_t count = 0;
    const struct member *source = first->source[0];
    for (uint32_t i = 0; i < g->wants.count && count < GET_IDS_MAX; i++) {
        struct want *want = &g->wants.list[i];
        if (want->is_asked || want->source[0] != source || is_bulky(g, want))
            continue;
        memcpy(ids + count++ * ID_BYTES, want->id.b, ID_BYTES);
        asked(g, want, patience_ms(g, source, want->tries));
    }
    assert(count > 0);
    struct wr w = wr_init(g->packet, g->cfg.packet_bytes_max);
    struct datagram d = {.type = MSG_GET, .ids = bytes_of(ids, count * ID_BYTES)};
    datagram_encode(&w, &d);
    send_deliver(g, out, source, addr, &w);
    return true;
}

static void begin_fetch(struct gossip *g, const struct want *first, const struct addr *addr)
{
    const struct member *source = first->source[0];
    struct job *job = jobs_add(g, JOB_FETCH, member_id(source), addr);
    for (uint32_t i = 0; i < g->wants.count; i++) {
        struct want *want = &g->wants.list[i];
        if (want->is_asked || want->source[0] != source || !is_bulky(g, want))
            continue;
        if (job)
            buf_add(&job->ids, want->id.b, ID_BYTES);
        asked(g, want, BULK_WAIT_MS);
    }
}

bool wants_poll(struct gossip *g, struct gossip_packet *out)
{
    for (uint32_t i = 0; i < g->wants.count; i++) {
        struct want *want = &g->wants.list[i];
        struct addr addr;
        if (want->is_asked)
            continue;
        if (!apply_addr(g, want->source[0], &addr))
            asked(g, want, g->cfg.probe_timeout_ms); /* nowhere to ask now; the other announcer is next */
        else if (is_bulky(g, want))
            begin_fetch(g, want, &addr);
        else
            return poll_get(g, want, &addr, out);
    }
    return false;
}
