/* What gossip says has happened: members that come, change and go, another agent with one's key, and what concerns ourselves,
 * our own record and its incarnation. */
#include "control/inner.h"
#include "observe/log.h"

enum {
    DOUBLE_TOLD_MS = 600 * 1000, /* for so long `status` tells of another agent with our key */
    RAISE_RETRY_MS = 1000,       /* after the store failed to keep an incarnation */
    MARK_LASTS_MS =
        2000, /* a mark is spoken of that lasts: one that was started again may carry it for a moment */
};

/* -- our own record ---------------------------------------------------------------------------- */

void control_announce(struct control *c)
{
    struct buf record = {0};
    c->own.layout = gossip_protocol_of_all(c->gossip);
    c->own.coordinate = gossip_own_coordinate(c->gossip);
    enum err e = own_sign(&c->own, &c->config, &c->identity, &record);
    if (e == ERR_OK)
        e = gossip_own_set(c->gossip, buf_bytes(&record), c->now);
    if (e != ERR_OK)
        log_error("control", "our own record cannot be published: %s; others go on with the last one",
                  err_text(e));
    buf_fini(&record);
    c->own_dirty = false;
}

/* A store that fails may fail at once: asking again without a pause would occupy both threads. */
static void raise_later(struct control *c, enum err why)
{
    if (!c->raise_failing)
        log_error("control", "a new incarnation cannot be stored: %s; not refuting until it can",
                  err_text(why));
    c->raise_failing = true;
    c->raise_at = c->own.wanted ? c->now + RAISE_RETRY_MS : NEVER;
}

static void arrive(struct control *c)
{
    c->arrival = (struct rollout_arrival){c->now, c->now};
}

static void speak(struct control *c)
{
    if (!c->may_speak)
        arrive(c);
    c->own_dirty = c->may_speak = true;
}

void control_raise(struct control *c, uint64_t at_least)
{
    enum err e = own_raise(&c->own, c->store, at_least, TICKET_INCARNATION);
    c->raise_at = NEVER;
    if (e == ERR_OK)
        speak(c);
    else if (e != ERR_AGAIN)
        raise_later(c, e);
}

void control_incarnation_stored(struct control *c, enum err outcome)
{
    own_confirmed(&c->own, outcome);
    c->raise_failing = c->raise_failing && outcome != ERR_OK;
    if (c->own.wanted && outcome == ERR_OK)
        control_raise(c, c->own.wanted);
    else if (c->own.wanted)
        raise_later(c, outcome);
}

/* The others have told what they hold of us: until then nothing was signed (ADVERSARY G10, G32, S13). */
static void recalled(struct control *c, uint64_t highest)
{
    if (highest < c->own.incarnation) {
        speak(c);
        return;
    }
    log_warn(
        "control",
        "the mesh remembers incarnation %llu of this host, the data folder only %llu: it %s; going on above",
        (unsigned long long)highest,
        c->own.incarnation == 1 ? 0 : (unsigned long long)c->own.incarnation - GOSSIP_START_LEAP,
        c->own.incarnation == 1 ? "was lost" : "is an old copy, or another agent runs with this identity");
    control_raise(c, highest + GOSSIP_START_LEAP);
}

void control_on_health(void *arg, size_t index, bool healthy)
{
    struct control *c = arg;
    c->own.healthy[index] = healthy;
    c->own_dirty = c->view_dirty = true;
}

/* -- members ----------------------------------------------------------------------------------- */

static void store_member(struct control *c, const struct node_id *id, struct bytes record)
{
    if (store_member_put(c->store, id, record, TICKET_NONE) != ERR_OK)
        log_debug("store", "a change of a member could not be queued; it is stored with the next one");
}

/* One that is new to us and suspect was stored by us, or told of by others: we have not asked it ourselves. */
static void say_member(const struct member *m, bool is_new)
{
    enum gossip_state state = m->state;
    char who[MEMBER_TEXT_MAX];
    log_line(state == GOSSIP_DEAD ? LOG_WARN : LOG_INFO, "gossip", "member %s %s", member_text(m, who),
             state == GOSSIP_LEFT    ? "has left"
             : state == GOSSIP_ALIVE ? "is alive"
             : state == GOSSIP_DEAD  ? "is dead: it answers nobody"
             : is_new                ? "is suspect: not heard from yet"
                                     : "is suspect: it does not answer");
}

/* A mark stays on who is silent, and falls from who leaves: neither is news of it. */
static void say_mark(struct member *m)
{
    char who[MEMBER_TEXT_MAX];
    if (m->state != GOSSIP_ALIVE && m->is_degraded)
        return;
    m->is_mark_said = m->is_degraded;
    if (m->is_degraded)
        log_warn("gossip",
                 "member %s is degraded: it came back after silence, or answers only some of the questions "
                 "of this host; "
                 "it is used only where no other is left, until it answers all for a while",
                 member_text(m, who));
    else if (m->state == GOSSIP_ALIVE)
        log_info("gossip", "member %s is no longer degraded: it answers again, or was started anew",
                 member_text(m, who));
}

void control_say_marks(struct control *c)
{
    if (c->now < c->marks_at)
        return;
    c->marks_at = NEVER;
    for (struct member *m = c->roster.by_id; m; m = m->hh.next) {
        if (m->is_degraded == m->is_mark_said)
            continue;
        if (c->now >= m->mark_at + MARK_LASTS_MS)
            say_mark(m);
        else
            c->marks_at = mono_min(c->marks_at, m->mark_at + MARK_LASTS_MS);
    }
}

/* Two living members with one name: each of the two agents says so, and so do the others, once. */
static void say_name(void *arg, struct member *m)
{
    const struct control *c = arg;
    struct member *holder = roster_name_holder(m);
    bool is_taken = member_is_live(m) && holder != m;
    char at[ADDR_TEXT_MAX], other[ADDR_TEXT_MAX];
    struct bytes node = member_name(m);
    if (is_taken && !m->is_name_said && node_id_eq(&m->id, &c->identity.sign.pub))
        log_error("trust",
                  "another living member, at %s, holds the name %.*s with another key: nothing is routed to "
                  "this host "
                  "until that one dies or leaves; give one of them another name",
                  addr_text(&holder->addr, at), (int)node.len, (const char *)node.at);
    else if (is_taken && !m->is_name_said)
        log_warn("trust",
                 "the name %.*s is claimed by a second key, at %s; it stays with the one at %s while that "
                 "lives, and "
                 "nothing is routed to the second",
                 (int)node.len, (const char *)node.at, addr_text(&m->addr, at),
                 addr_text(&holder->addr, other));
    m->is_name_said = is_taken;
}

/* Each of the two goes above the other's number: nobody has a proof, but all see the member jump. */
static void note_home(struct control *c, struct member *m)
{
    char text[NODE_ID_TEXT_MAX], at[ADDR_TEXT_MAX], before[ADDR_TEXT_MAX];
    struct bytes name = member_name(m);
    if (!doubled_note(&m->doubled, &m->home, c->now) || m->is_quarantined)
        return;
    log_error("gossip",
              "member %.*s (%s) answers at %s and at %s in turn: two agents run with its key, from a copied "
              "data folder or stolen, or it goes back and forth between the two; stop the copy",
              (int)name.len, (const char *)name.at, node_id_text(&m->id, text), addr_text(&m->doubled.at, at),
              addr_text(&m->doubled.before, before));
}

static void quarantine_lifted(struct member *m)
{
    char text[NODE_ID_TEXT_MAX];
    struct bytes name = member_name(m);
    m->has_equivocated = false; /* the next time is another alarm */
    log_info("gossip",
             "member %.*s (%s) has signed a newer record that nobody disputes: it is out of quarantine",
             (int)name.len, (const char *)name.at, node_id_text(&m->id, text));
}

/* By a first full state, or by a member that answers: who knows one from the store, or is found by one, may need no seed for long. */
static void met(struct control *c)
{
    if (!c->joined)
        log_info("gossip", "joined the mesh");
    c->joined = true;
}

static void member_changed(struct control *c, const struct gossip_event *ev)
{
    struct gossip_member gm;
    if (!gossip_member_get(c->gossip, &ev->id, &gm))
        return;
    struct member *m = roster_find(&c->roster, &ev->id);
    bool was_degraded = m && m->is_degraded, was_quarantined = m && m->is_quarantined;
    enum err e = roster_apply(&c->roster, c->verified, ev, &gm.addr, control_wall(c));
    m = roster_find(&c->roster, &ev->id);
    if (!m)
        return;
    bool is_self = node_id_eq(&ev->id, &c->identity.sign.pub);
    if (!is_self && m->state == GOSSIP_ALIVE)
        met(c);
    if (!is_self && (ev->is_new || ev->before != ev->after) && !control_is_of_outage(c, m))
        say_member(m, ev->is_new);
    if (was_degraded != m->is_degraded)
        m->mark_at = c->now;
    if (m->is_degraded != m->is_mark_said)
        c->marks_at = mono_min(c->marks_at, c->now + MARK_LASTS_MS);
    if (!is_self)
        note_home(c, m);
    if (was_quarantined && !m->is_quarantined)
        quarantine_lifted(m);
    roster_namesakes_each(m, say_name, c);
    if (e == ERR_OK && (ev->is_new || ev->record_changed) && !is_self)
        store_member(c, &ev->id, ev->record);
    if (ev->after != GOSSIP_ALIVE)
        m->reach =
            (struct reach){.said_at = m->reach.said_at,
                           .silent_said_at = m->reach.silent_said_at,
                           .is_said = m->reach.is_said}; /* it is not only its TCP port that is silent */
    if (ev->before != ev->after && (ev->after == GOSSIP_DEAD || ev->after == GOSSIP_LEFT))
        udp_give_up(c->udp,
                    &ev->id); /* gossip tries the dead, one of them in ten seconds; each try begins anew */
    c->expiry_at = mono_min(c->expiry_at, control_expiry_of(c, m));
    if (ev->is_new) /* a death waits for nothing, a birth for those who are born with it */
        c->view_grown = true;
    else
        c->view_dirty = true;
}

void control_forget_member(struct control *c, const struct node_id *id)
{
    roster_forget(&c->roster, id);
    udp_forget(c->udp, id);
    bulk_cut(c->bulk, id);
    store_member(c, id, bytes_of(NULL, 0));
    c->view_dirty = true;
}

/* Somebody else runs with our key (ADVERSARY G33). */
static void note_double(struct control *c, struct bytes record)
{
    struct gossip_claim claim;
    char *at = c->double_addr;
    snprintf(at, sizeof c->double_addr, "an address that is not known");
    c->double_at = c->now;
    if (claim_of_record(c->verified, record, control_wall(c), &claim) == ERR_OK)
        addr_text(&claim.addr[0], at);
    log_error(
        "gossip", "another agent runs with the key of this host, at %s: a copied data folder, or a theft. %s",
        at,
        gossip_is_yielding(c->gossip)
            ? "It goes before this one (the lower address does), which is silent for ten minutes: stop one "
              "of them, and enrol it anew"
            : "Stop one of them, and enrol it anew");
}

const char *control_double(const struct control *c, uint64_t *ago_ms)
{
    *ago_ms = c->now - c->double_at;
    return c->double_at > 0 && *ago_ms < DOUBLE_TOLD_MS ? c->double_addr : NULL;
}

/* Told once of each member: the two of them may go on for ever. */
static void note_equivocation(struct control *c, const struct gossip_event *ev)
{
    char text[NODE_ID_TEXT_MAX];
    const struct node_id *id = &ev->id;
    struct member *m = roster_find(&c->roster, id);
    if (node_id_eq(id, &c->identity.sign.pub)) {
        note_double(c, ev->other);
        return;
    }
    if (m && m->has_equivocated)
        return;
    if (m)
        m->has_equivocated = true;
    struct bytes name = m ? member_name(m) : bytes_str("");
    log_error("gossip",
              "member %.*s (%s) signed two records with one number: two agents run with its key, or it is "
              "stolen. Nothing "
              "is routed to it until a newer record of it has stood undisputed for half a minute",
              (int)name.len, (const char *)name.at, node_id_text(id, text));
}

void control_take_events(struct control *c)
{
    struct gossip_event ev;
    while (gossip_poll_event(c->gossip, &ev)) {
        switch (ev.type) {
        case GOSSIP_EV_MEMBER:
            if (ev.is_new)
                c->arrival.news_at = c->now;
            member_changed(c, &ev);
            break;
        case GOSSIP_EV_FORGOTTEN:
            control_forget_member(c, &ev.id);
            break;
        case GOSSIP_EV_WANT_INCARNATION:
            control_raise(c, ev.number);
            break;
        case GOSSIP_EV_RECALLED:
            recalled(c, ev.number);
            break;
        case GOSSIP_EV_DOC_OFFERED:
            break; /* it is being pulled */
        case GOSSIP_EV_DOC_RECEIVED:
            control_document_received(c, &ev);
            break;
        case GOSSIP_EV_EQUIVOCATION:
            note_equivocation(c, &ev);
            break;
        case GOSSIP_EV_JOINED:
            met(c);
            arrive(c);
            break;
        case GOSSIP_EV_MOVED:
            c->own_dirty = true;
            break;
        case GOSSIP_EV_LEFT_SENT:
            c->leave_by = c->now;
            break;
        }
    }
}
