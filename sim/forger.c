#include "sim/forger.h"

#include <stdlib.h>

#include "gossip/message.h"
#include "sim/must.h"
#include "trust/sign.h"

enum { HEARD_MAX = 256, HEARD_BYTES_MAX = 4096, SAY_BYTES_MAX = 16 * 1024 };

struct heard {
    enum gossip_lane lane;
    size_t len;
    uint8_t msg[HEARD_BYTES_MAX];
};

struct forger {
    uint32_t member;
    mono_us every;
    bool is_active;
    mono_us until; /* when it was stopped: what it sent may still be under way */
    struct rng rng;
    size_t heard_count;
    struct heard heard[HEARD_MAX];
};

void forger_free(struct forger *f)
{
    free(f);
}

/* Keeps a sample: recent ones and old ones. */
void forger_overhears(struct forger *f, enum gossip_lane lane, struct bytes msg)
{
    if (!f || msg.len > HEARD_BYTES_MAX)
        return;
    size_t at = f->heard_count++;
    if (at >= HEARD_MAX)
        at = rng_below(&f->rng, HEARD_MAX * 4);
    if (at >= HEARD_MAX)
        return;
    f->heard[at].lane = lane;
    f->heard[at].len = msg.len;
    memcpy(f->heard[at].msg, msg.at, msg.len);
}

static const struct heard *remembered(struct forger *f)
{
    size_t n = f->heard_count < HEARD_MAX ? f->heard_count : HEARD_MAX;
    return &f->heard[rng_below(&f->rng, (uint32_t)n)];
}

static uint32_t victim(struct world *w)
{
    uint32_t v = rng_below(&w->forger->rng, w->config.hosts - 1);
    return v + (v >= w->forger->member);
}

/* ---- what is said ----
 *
 * One random choice per statement: C does not say in which order arguments and initialisers are evaluated,
 * and a run is to be the same under every compiler. */

static void say(struct world *w, enum gossip_lane lane, struct bytes msg)
{
    struct forger *f = w->forger;
    uint32_t to = victim(w);
    if (host_is_running(&w->host[to]))
        world_inject(w, f->member, rng_below(&f->rng, 4) == 0, to, lane, msg);
}

static void replay(struct world *w)
{
    const struct heard *h = remembered(w->forger);
    say(w, h->lane, bytes_of(h->msg, h->len));
}

/* Flips, overwrites, cuts, doubles: the record inside no longer has its owner's signature, or the message is
 * none. */
static void alter(struct world *w)
{
    struct rng *r = &w->forger->rng;
    struct heard h = *remembered(w->forger);
    for (uint32_t n = 1 + rng_below(r, 3); h.len > 0 && n > 0; n--) {
        size_t at = rng_below(r, (uint32_t)h.len);
        switch (rng_below(r, 4)) {
        case 0:
            h.msg[at] ^= (uint8_t)(1u << rng_below(r, 8));
            break;
        case 1:
            h.msg[at] = (uint8_t)rng_u64(r);
            break;
        case 2:
            h.len = at;
            break;
        default:
            memmove(h.msg + at / 2, h.msg + at, h.len - at);
            break;
        }
    }
    say(w, h.lane, bytes_of(h.msg, h.len));
}

static void push(struct world *w, const struct rumor_item *item)
{
    uint8_t space[SAY_BYTES_MAX];
    struct wr out = wr_init(space, sizeof space);
    datagram_encode(&out, &(struct datagram){.type = MSG_PUSH});
    rumor_item_encode(&out, item);
    if (wr_ok(&out))
        say(w, GOSSIP_DATAGRAM, wr_done(&out));
}

static void push_record(struct world *w, struct bytes record)
{
    push(w, &(struct rumor_item){.type = RUMOR_RECORD, .record = record});
}

/* The victim's record at the liar's address, or its good-bye, under the liar's signature (memberlist#370;
 * G3). */
static void forge_record(struct world *w)
{
    struct rng *r = &w->forger->rng;
    struct buf record = {0};
    uint64_t incarnation = rng_below(r, 2) ? UINT64_MAX - rng_below(r, 3) : 1 + rng_below(r, 50);
    bool left = rng_below(r, 2);
    signer_forge(w->signer, victim(w), w->forger->member, incarnation, left, &record);
    push_record(w, buf_bytes(&record));
    w->figures.forged++;
    buf_fini(&record);
}

/* A true record of somebody with one bit changed. */
static void forge_bit(struct world *w)
{
    struct rng *r = &w->forger->rng;
    struct buf record = {0};
    const struct signed_record *s = signer_get(w->signer, rng_below(r, (uint32_t)signer_count(w->signer)));
    buf_add_bytes(&record, s->bytes);
    size_t at = rng_below(r, (uint32_t)record.len);
    record.at[at] ^= (uint8_t)(1u << rng_below(r, 8));
    push_record(w, buf_bytes(&record));
    w->figures.forged++;
    buf_fini(&record);
}

static void forge_outsider(struct world *w)
{
    struct buf record = {0};
    signer_forge_outsider(w->signer, 1 + rng_below(&w->forger->rng, 9), &record);
    push_record(w, buf_bytes(&record));
    w->figures.forged++;
    buf_fini(&record);
}

/* An old record of its owner, true once (G8, G9), as news or with a state that it never had. */
static void replay_record(struct world *w)
{
    struct rng *r = &w->forger->rng;
    uint8_t space[SAY_BYTES_MAX];
    const struct signed_record *s = signer_get(w->signer, rng_below(r, (uint32_t)signer_count(w->signer)));
    if (rng_below(r, 2)) {
        push_record(w, s->bytes);
        return;
    }
    struct wr out = wr_init(space, sizeof space);
    struct bulk state = {.type = MSG_STATE, .salt = rng_u64(r)};
    struct state_entry entry = {.record = s->bytes};
    state.flags = (uint8_t)rng_below(r, 2);
    entry.state = (enum gossip_state)rng_below(r, 4);
    entry.age_s = (uint32_t)rng_u64(r);
    bulk_encode(&out, &state);
    state_entry_encode(&out, &entry);
    if (wr_ok(&out))
        say(w, GOSSIP_BULK, wr_done(&out));
}

/* Suspect and dead, under any name, about any number (G4, G5). */
static void accuse(struct world *w)
{
    struct rng *r = &w->forger->rng;
    uint32_t subject = victim(w);
    const struct signed_record *s = w->host[subject].own;
    if (!s)
        return;
    struct rumor_item item = {.type = rng_below(r, 2) ? RUMOR_SUSPECT : RUMOR_DEAD,
                              .subject = *signer_id(w->signer, subject),
                              .incarnation = s->incarnation,
                              .version = s->version};
    item.accuser = *signer_id(w->signer, rng_below(r, 2) ? w->forger->member : victim(w));
    if (rng_below(r, 2)) {
        item.incarnation = UINT64_MAX - rng_below(r, 2);
        item.version = UINT64_MAX;
    }
    push(w, &item);
}

/* A newer document that nobody signed: announced, and handed over unasked. */
static void offer_document(struct world *w)
{
    struct rng *r = &w->forger->rng;
    uint8_t space[256], text[64];
    struct rumor_item item = {.type = RUMOR_DOC, .doc = {DOC_KIND, 1, 1000 + rng_below(r, 9), {{0}}}};
    memset(text, (int)rng_below(r, 256), sizeof text);
    item.doc.hash = hash_of(bytes_of(text, sizeof text));
    push(w, &item);
    struct wr out = wr_init(space, sizeof space);
    bulk_encode(&out, &(struct bulk){.type = MSG_DOC, .doc = item.doc});
    wr_bytes(&out, text, sizeof text);
    if (wr_ok(&out))
        say(w, GOSSIP_BULK, wr_done(&out));
}

static void attack(struct world *w, uint32_t member)
{
    static void (*const ways[])(struct world * w) = {
        replay, alter, forge_record, forge_bit, forge_outsider, replay_record, accuse, offer_document,
    };
    struct forger *f = w->forger;
    if (!f->is_active)
        return;
    ways[rng_below(&f->rng, sizeof ways / sizeof *ways)](w);
    world_after(w, f->every, member, attack);
}

void forger_start(struct world *w, uint32_t member, mono_us every)
{
    struct forger *f = must_zeros(1, sizeof *f);
    f->member = member;
    f->every = every;
    f->is_active = true;
    f->rng = rng_seeded(w->config.seed ^ 0xf06e5u);
    w->forger = f;
    world_after(w, SEC(2), member, attack); /* after it has heard something */
}

void forger_stop(struct world *w)
{
    w->forger->is_active = false;
    w->forger->until = w->now + SEC(1);
}

bool forger_speaks_for(const struct world *w, uint32_t host)
{
    return w->forger && w->forger->member == host && (w->forger->is_active || w->now < w->forger->until);
}
