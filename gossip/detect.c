/* detect.c: probes: when a member is asked, how often and through whom, and what its silence means.
 *
 * A probe of a member that nobody doubts (PROBE_TURN) is SWIM's (section 3.1):
 *
 *   0          ping
 *   direct     no ack: ping again, and ask k others to ping it; they answer with its ack, or with a nack (Lifeguard IV-A)
 *   total      still no ack: suspect it, and say so
 *
 * Both times come from its measured round trips (RFC 6298) and grow with our own bad health (health.c). Each member that hears
 * of the suspicion looks for itself (PROBE_VERIFY), and nobody holds a member dead without a failed look of its own (ADVERSARY R3). */
#include "gossip/core.h"

enum {
    RTT_WAS_WRONG = 1, /* in rtt_var_4ths, while nothing is measured: nor is anything foretold */
    RELAY_DRAWS = 4,
};

/* How long to wait. */

struct probe_times {
    uint32_t direct_ms, total_ms;
};

static struct probe_times times_of_rtt(const struct gossip *g, uint32_t rtt)
{
    uint32_t interval = g->cfg.probe_interval_ms;
    struct probe_times t = {g->cfg.probe_timeout_ms, interval};
    if (rtt > 0 && has_part(g, GOSSIP_RTT)) {
        t.direct_ms = rtt + DIRECT_SLACK_MS < interval / 2 ? rtt + DIRECT_SLACK_MS : interval / 2;
        /* through a relay it is two round trips more, of which we know one */
        t.total_ms = 2 * t.direct_ms + rtt < interval ? 2 * t.direct_ms + rtt : interval;
    }
    return (struct probe_times){health_stretch(g, t.direct_ms), health_stretch(g, t.total_ms)};
}

/* 0: neither measured nor foretold. */
static uint32_t rtt_of(const struct gossip *g, const struct member *m)
{
    uint32_t rtt = rtt_timeout_ms(m->rtt_8ths, m->rtt_var_4ths);
    if (rtt > 0 || m->rtt_var_4ths == RTT_WAS_WRONG)
        return rtt;
    return 2 * locate_rtt_ms(g, m); /* with room for what is wrong in it */
}

static struct probe_times times_for(const struct gossip *g, const struct member *m)
{
    return times_of_rtt(g, rtt_of(g, m));
}

/* Of those whom we watch: a sample of all, as the rings lie. 0: none is measured. */
static uint32_t slowest_rtt(const struct gossip *g)
{
    uint32_t slowest = 0;
    for (int k = 0; k < WATCH_RINGS; k++) {
        const struct member *m = g->watch.ring[k].subject;
        uint32_t rtt = m ? rtt_timeout_ms(m->rtt_8ths, m->rtt_var_4ths) : 0;
        slowest = rtt > slowest ? rtt : slowest;
    }
    return slowest;
}

uint32_t detect_rtt_ms(const struct gossip *g, const struct member *m)
{
    uint32_t rtt = rtt_of(g, m);
    return rtt > 0 || m->rtt_var_4ths == RTT_WAS_WRONG ? rtt : 2 * slowest_rtt(g);
}

/* It has become slower than what was measured says, and would be taken for silent at every turn: the longest times hold
 * until an answer to a first ping measures it anew, as TCP backs off (RFC 6298, section 5). */
static void rtt_forget(struct member *m)
{
    m->rtt_8ths = 0;
    m->rtt_var_4ths = RTT_WAS_WRONG;
}

void detect_probe(struct gossip *g, struct member *m, enum probe_reason reason)
{
    struct addr addr;
    if (!apply_addr(g, m, &addr))
        return;
    struct probe *p = probes_add(&g->probes);
    if (!p)
        return;
    struct probe_times t = times_for(g, m);
    p->target = m;
    p->nonce = rng_u64(&g->rng);
    p->reason = reason;
    p->sent_at = g->now;
    p->pings = 1;
    p->again_at = reason == PROBE_RETRY ? NEVER : g->now + t.direct_ms;
    p->deadline =
        g->now + (reason == PROBE_TURN ? t.total_ms : 2 * health_stretch(g, g->cfg.probe_timeout_ms));
    send_urgent(g, &(struct out){.type = OUT_PING, .to = m, .via = addr, .nonce = p->nonce});
    if (m->state != GOSSIP_DEAD) /* whose silence tells nothing of us */
        g->unheard_since = mono_min(g->unheard_since, g->now);
    g->stats.probes_sent++;
}

void detect_repeat(struct gossip *g, struct probe *p)
{
    mono_ms answered = p->sent_at + times_for(g, p->target).direct_ms;
    p->again_at = answered > g->now ? answered : g->now;
}

/* A look was not answered at the first ping: do others hear us? Asked while the look goes on. */
static void ask_others(struct gossip *g)
{
    const struct member * not [1 + HEARD_MAX] = {g->self};
    if (g->now < g->ask_ok_at)
        return;
    g->ask_ok_at = g->now + ASK_SPACING_MS;
    for (size_t i = 0; i < HEARD_MAX; i++) {
        struct member *m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, 1 + i);
        if (!m)
            return;
        not [1 + i] = m;
        if (!probes_has_target(&g->probes, m))
            detect_probe(g, m, PROBE_RETRY);
    }
}

/* Pushes use up the budget as soon as there is some, so in a flood of news a look would wait until the flood is over, and the news of
 * a death with it. So looks have a share that pushes cannot use up. */
static bool may_spend(struct gossip *g)
{
    budget_refill(&g->budget, g->now);
    budget_refill(&g->look_share, g->now);
    return budget_has(&g->budget) || (budget_has(&g->look_share) && budget_may_owe(&g->budget));
}

bool detect_may_look(struct gossip *g)
{
    return probes_count_asking(&g->probes) < PROBES_MAX / 4 && may_spend(g);
}

static void spend_share(struct gossip *g)
{
    budget_refill(&g->look_share, g->now);
    budget_spend(&g->look_share, LOOK_BYTES);
}

void detect_hear(struct gossip *g, struct member *m)
{
    spend_share(g);
    detect_probe(g, m, PROBE_TURN);
    struct probe *p = probes_of(&g->probes, m);
    if (!p)
        return;
    p->is_direct = true;
    struct probe_times t = times_of_rtt(g, detect_rtt_ms(g, m));
    p->again_at = p->sent_at + t.direct_ms / 2; /* its accuser has waited already */
    p->deadline = p->sent_at + t.total_ms - 2 * (t.direct_ms / 2);
}

uint32_t detect_patience_ms(const struct gossip *g, const struct member *m)
{
    return times_for(g, m).direct_ms + health_stretch(g, g->cfg.probe_interval_ms / 20);
}

void detect_missed(struct gossip *g, struct member *m)
{
    spend_share(g);
    detect_probe(g, m, PROBE_TURN);
    struct probe *p = probes_of(&g->probes, m);
    if (p)
        p->is_missed = true;
}

void detect_look(struct gossip *g, struct member *m)
{
    spend_share(g);
    detect_probe(g, m, PROBE_VERIFY);
}

/* Answers. */

/* `ms` counts from when our ping arrived: a ping sent `ms` after it arrives at the right time. */
static void next_turn(struct gossip *g, const struct member *m, mono_ms sent_at, uint32_t ms)
{
    struct watch_ring *ring = watch_of(&g->watch, m);
    uint32_t least = g->cfg.probe_interval_ms / 2, most = WATCH_TURN_MAX * g->cfg.probe_interval_ms;
    if (!ring || ms == 0)
        return;
    watch_turn_at(&g->watch, ring, sent_at + health_stretch(g, ms < least ? least : ms > most ? most : ms));
    ring->is_doubted = false;
}

/* Turns are a sample of all members. Looks are not: they go to those who are said to be slow or lossy, and who looks at twenty of
 * these over and over would take their loss for the network's. */
static bool tells_loss(const struct probe *p)
{
    return p->reason == PROBE_TURN && !p->is_direct && !p->is_missed && !degrade_is(p->target);
}

bool detect_ack(struct gossip *g, struct member *from, const struct datagram *d)
{
    struct probe *p = probes_find(&g->probes, d->nonce);
    if (!p || p->target != from)
        return false;
    if (p->pings == 1) { /* Karn and Partridge 1987: which of two was answered? */
        rtt_sample(&from->rtt_8ths, &from->rtt_var_4ths, g->now - p->sent_at);
        locate_sample(g, from, d, p->sent_us);
    } else if (g->now - p->sent_at >= times_for(g, from).total_ms) {
        rtt_forget(from);
    }
    enum probe_reason reason = p->reason;
    bool is_at_once = p->pings == 1;
    if (tells_loss(p))
        loss_sample(&g->loss, p->pings > 1);
    if (p->reason == PROBE_TURN)
        health_change(g, -1);
    next_turn(g, from, p->sent_at, d->ms);
    probes_remove(&g->probes, p);
    health_heard(g, from);
    if (reason != PROBE_RETRY)
        degrade_answered(g, from, is_at_once);
    g->stats.acks_received++;
    apply_evidence(g, from);
    return true;
}

/* The probe in which we asked `from` about `target`; its index among the relays in *k. */
static struct probe *asked(struct gossip *g, const struct member *from, uint64_t nonce,
                           const struct node_id *target, int *k)
{
    struct probe *p = probes_find(&g->probes, nonce);
    if (p && node_id_eq(member_id(p->target), target))
        for (*k = 0; *k < p->relay_count; (*k)++)
            if (p->relay[*k] == from)
                return p;
    return NULL;
}

/* Relays say that it answers, but it does not answer us. Our path to it may be broken, or they lie: so it is probed once more, soon.
 * With a quarter of liars a dead member's turn is saved one time in six, and both one time in forty (ADVERSARY G22). */
static void doubt(struct gossip *g, const struct probe *p)
{
    struct watch_ring *ring = watch_of(&g->watch, p->target);
    mono_ms again = g->now + health_stretch(g, g->cfg.probe_interval_ms / 4);
    if (p->is_missed)
        watch_expect_again(&g->watch, p->target, again);
    if (p->reason != PROBE_TURN || p->is_direct || !ring || ring->is_doubted)
        return;
    ring->is_doubted = true;
    watch_turn_at(&g->watch, ring, again);
}

static void passed(struct gossip *g, struct probe *p)
{
    struct member *m = p->target;
    struct suspicion *s = member_suspicion(m);
    doubt(g, p);
    if (s)
        s->spared += s->spared < UINT8_MAX;
    if (tells_loss(p))
        loss_sample(&g->loss, true);
    probes_remove(&g->probes, p);
    hearing_ends(g, m, HEARING_UNSURE);
    g->stats.acks_received++;
}

/* A relay's word counts for the probe in which we asked that relay, and for no more: two keep a turn from failing, one
 * does unless more relays heard nothing, and none clears a suspicion. With a fifth of liars among the relays of a dead
 * member a turn is saved one time in ten (ADVERSARY G22). */
bool detect_relayed_ack(struct gossip *g, const struct member *from, uint64_t nonce,
                        const struct node_id *target)
{
    int k;
    struct probe *p = asked(g, from, nonce, target, &k);
    if (!p || (p->acks | p->nacks) >> k & 1)
        return false;
    p->acks |= (uint8_t)(1u << k);
    health_heard(g, from);
    if (relays_in(p->acks) >= 2)
        passed(g, p);
    return true;
}

/* Lifeguard, section IV-A: a nack shows that we are heard and answered; it is the other one who is silent. */
bool detect_nack(struct gossip *g, const struct member *from, uint64_t nonce, const struct node_id *target)
{
    int k;
    struct probe *p = asked(g, from, nonce, target, &k);
    if (!p || (p->acks | p->nacks) >> k & 1)
        return false;
    p->nacks |= (uint8_t)(1u << k);
    health_heard(g, from);
    g->stats.nacks_received++;
    return true;
}

/* Silence. */

static uint32_t relay_wait_ms(const struct gossip *g, const struct probe *p, const struct member *relay)
{
    uint32_t left = p->deadline > g->now ? (uint32_t)(p->deadline - g->now) : 0;
    uint32_t rtt = rtt_timeout_ms(relay->rtt_8ths, relay->rtt_var_4ths);
    left = left > rtt + RELAY_WAIT_MIN_MS ? left - rtt : RELAY_WAIT_MIN_MS;
    return left < UINT16_MAX ? left : UINT16_MAX;
}

/* A relay's word counts as much whoever it is, so those who accused others falsely are asked only if there are few others. */
static struct member *pick_relay(struct gossip *g, const struct member *const * not, size_t not_count)
{
    struct member *m = NULL;
    for (int draw = 0; draw < RELAY_DRAWS; draw++) {
        m = members_pick(&g->members, &g->rng, state_bit(GOSSIP_ALIVE), not, not_count);
        if (!m || !hearing_mistrusts(g, m))
            break;
    }
    return m;
}

/* SWIM section 3.1: k others are asked to probe it, in case only the path between us is bad. */
static void probe_through_others(struct gossip *g, struct probe *p)
{
    const struct member * not [PROBE_RELAYS_MAX + 2] = {g->self, p->target};
    for (uint32_t tries = 0; tries < g->cfg.indirect_probes && p->relay_count < PROBE_RELAYS_MAX; tries++) {
        struct member *relay = pick_relay(g, not, 2u + p->relay_count);
        struct addr addr;
        if (!relay)
            return;
        not [2 + p->relay_count] = relay;
        p->relay[p->relay_count++] = relay;
        if (!apply_addr(g, relay, &addr))
            continue;
        send_urgent(g, &(struct out){.type = OUT_PING_REQ,
                                     .to = relay,
                                     .about = p->target,
                                     .via = addr,
                                     .nonce = p->nonce,
                                     .ms = (uint16_t)relay_wait_ms(g, p, relay)});
        g->stats.indirect_probes_sent++;
    }
}

/* A turn asks relays. A look at one whom others accuse does so only while no refutation can be expected, which would show that it is
 * our own path that is broken. When many are looked at, as after the restart of all, this keeps to the budget. */
static bool asks_relays(struct gossip *g, const struct probe *p)
{
    const struct suspicion *s = member_suspicion(p->target);
    if (p->reason == PROBE_TURN && !p->is_direct)
        return true;
    if (p->reason == PROBE_VERIFY && s && s->is_unwitnessed)
        return detect_may_look(g);
    return p->reason != PROBE_RETRY && detect_may_look(g) && hearing_asks_relays(g);
}

/* A turn is kept whatever it costs. Looks may take longer: many at once, each repeated as the loss asks for, would exceed the
 * budget. */
static bool is_put_off(struct gossip *g, struct probe *p)
{
    if (p->reason == PROBE_TURN || may_spend(g))
        return false;
    mono_ms wait = budget_ready_at(&g->budget) - g->now + rng_below(&g->rng, g->cfg.probe_timeout_ms / 4);
    p->again_at = g->now + 1 + wait;
    p->deadline += 1 + wait;
    return true;
}

/* No answer so far; packets may have been lost. So the same question again: to its other address if it has one, as often as the loss
 * that we see asks for, and, in its turn, through others too. */
static void probe_again(struct gossip *g, struct probe *p)
{
    struct member *m = p->target;
    struct addr addr;
    uint8_t want = has_part(g, GOSSIP_REPEAT) ? loss_pings(g->loss) : 1;
    if (is_put_off(g, p))
        return;
    bool is_first = p->pings++ == 1;
    mono_ms left = p->deadline > g->now ? p->deadline - g->now : 0;
    p->again_at = p->pings < want ? g->now + 1 + left / (mono_ms)(want - p->pings + 1) : NEVER;
    if (member_addr_count(m) > 1)
        m->addr_used = (uint8_t)((m->addr_used + 1) % member_addr_count(m));
    if (has_part(g, GOSSIP_REPEAT) && apply_addr(g, m, &addr))
        send_urgent(
            g, &(struct out){.type = OUT_PING, .to = m, .via = addr, .nonce = p->nonce, .is_overdue = true});
    if (is_first && asks_relays(g, p))
        probe_through_others(g, p);
    if (p->reason == PROBE_TURN || (member_suspicion(m) && member_suspicion(m)->refusers > 0))
        evidence_knock(g, p);
    if (is_first && (p->is_direct || (p->reason == PROBE_VERIFY && may_spend(g))))
        ask_others(g); /* the last thing: it begins probes, and p may move */
}

/* Evidence from traffic. */

/* No need to wait out the probe: but long enough for the ping, for relays, who may hear it all the same, and for others
 * to show that they hear us. */
void detect_refused(struct gossip *g, struct probe *p)
{
    const struct member *m = p->target;
    uint32_t direct_ms = times_for(g, m).direct_ms, rtt_ms = rtt_timeout_ms(m->rtt_8ths, m->rtt_var_4ths);
    mono_ms ping = p->sent_at + direct_ms, others = g->now + rtt_ms + direct_ms / 2;
    p->is_refused = true;
    p->deadline = mono_min(p->deadline, ping > others ? ping : others);
    if (p->pings == 1 && p->reason != PROBE_RETRY)
        probe_again(g, p);
    ask_others(g);
}

/* Failed probes. */

/* Relays were asked, and not one says that it hears nothing either. Who loses most of what it sends and gets finds everybody silent
 * while two others answer it now and then. A refused dial needs no witness. */
static bool is_unwitnessed(const struct gossip *g, const struct probe *p)
{
    return has_part(g, GOSSIP_NACK) && p->relay_count > 0 && !p->nacks && !p->is_refused;
}

/* Its other observers look at once, whatever others say, and then it is the word of several. In a small mesh everybody observes
 * everybody, and the pushes reach them. */
static void tell_observers(struct gossip *g, struct member *m)
{
    struct member *observer[WATCH_RINGS];
    struct out word = {.type = OUT_WORD, .about = m};
    if (!has_part(g, GOSSIP_OBSERVERS) || live_count(g) <= WATCH_RINGS + 1 || !verdict_may_tell(g, m))
        return;
    watch_observers(&g->members, m, observer);
    for (int k = 0; k < WATCH_RINGS; k++) {
        bool is_told = observer[k] == NULL || observer[k] == g->self;
        for (int before = 0; before < k; before++)
            is_told |= observer[before] == observer[k];
        word.to = observer[k];
        if (!is_told && apply_addr(g, word.to, &word.via))
            outbox_put(&g->answers, &word);
    }
}

/* We asked it whether it hears us, beside a look at a suspect, or where it is; it said nothing while others did. When a rack is
 * lost, those whose observers are lost too would otherwise be found last. */
static void look_as_in_turn(struct gossip *g, const struct probe *p)
{
    if (p->target->state == GOSSIP_ALIVE && !is_credulous(g) &&
        health_hears_others(g, p->target, p->sent_at) && detect_may_look(g) &&
        !probes_of(&g->probes, p->target))
        detect_probe(g, p->target, PROBE_TURN);
}

static void probe_failed(struct gossip *g, const struct probe *p)
{
    struct member *m = p->target;
    g->stats.probes_failed++;
    rtt_forget(m);
    if (p->reason == PROBE_RETRY && !is_silent(g)) {
        retry_disputed(g, p);
        look_as_in_turn(g, p);
    }
    if (p->reason == PROBE_RETRY || is_silent(g))
        return;
    if (m->state == GOSSIP_ALIVE &&
        g->now < member_works_until(m)) { /* only datagrams are lost; look again */
        detect_probe(g, m, p->reason);
        return;
    }
    bool is_own = p->sent_at >= g->heard_again_at && health_hears_others(g, m, p->sent_at);
    if (m->state == GOSSIP_ALIVE && degrade_failed(g, m, p, is_own))
        return;
    if (p->reason == PROBE_TURN && !p->is_direct && !p->is_refused)
        health_probe_failed(g, p);
    if (m->state == GOSSIP_SUSPECT && p->is_refused)
        verdict_refused(g, m); /* the dial was before the suspicion */
    if (m->state == GOSSIP_SUSPECT && (p->nacks || p->is_refused))
        member_suspicion(m)->is_unwitnessed = false;
    if (m->state == GOSSIP_SUSPECT)
        verdict_look_failed(g, m, is_own);
    if (m->state != GOSSIP_ALIVE || (p->reason != PROBE_TURN && !degrade_is(m)))
        return;
    apply_suspicion(g, m, &g->cfg.self, p->sent_at, is_own, false);
    if (!member_suspicion(m))
        return;
    member_suspicion(m)->is_refused = p->is_refused;
    member_suspicion(m)->is_unwitnessed = is_unwitnessed(g, p);
    verdict_accuse(g, member_suspicion(m), (uint8_t)g->cfg.eager_fanout);
    if (p->reason == PROBE_TURN && !p->is_direct)
        tell_observers(g, m);
    for (int k = 0; k < p->relay_count; k++) /* a nack is its sender's own failed probe */
        if (p->nacks >> k & 1 && p->relay[k])
            verdict_confirm(g, m, member_id(p->relay[k]));
}

static void probes_due(struct gossip *g)
{
    for (uint32_t i = 0; i < g->probes.count;) {
        struct probe *p = &g->probes.list[i];
        if (p->deadline <= g->now) {
            if (p->acks && relays_in(p->acks) >= relays_in(p->nacks)) {
                passed(g, p);
                continue;
            }
            struct probe failed = *p;
            probes_remove(&g->probes, p);
            probe_failed(g, &failed);
            continue;
        }
        if (p->again_at <= g->now)
            probe_again(g, p);
        i++;
    }
}

void detect_forget(struct gossip *g, const struct member *m)
{
    probes_forget(&g->probes, m);
    relays_forget(&g->relays, m);
    for (int i = 0; i < HEARD_MAX; i++)
        if (g->heard[i].who == m)
            g->heard[i].who = NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < g->knocks; i++)
        if (g->knock[i] != m)
            g->knock[kept++] = g->knock[i];
    g->knocks = kept;
}

void detect_tick(struct gossip *g)
{
    probes_due(g);
    ping_req_due(g);
    verdict_due(g);
    hearing_tick(g);
    degrade_tick(g);
    turns_due(g);
}

mono_ms detect_deadline(const struct gossip *g)
{
    mono_ms at = mono_min(probes_deadline(&g->probes), relays_deadline(&g->relays));
    at = mono_min(at, mono_min(degrade_deadline(g), hearing_deadline(g)));
    return mono_min(at, mono_min(g->suspicion_at, turns_deadline(g)));
}
