/* opinion.c: what others say about third members: SUSPECT and DEAD rumors, and the states in syncs. An accusation is never
 * more than a reason to look for ourselves; this file decides whether it is believed until that look has an answer. */
#include "gossip/core.h"

#include <assert.h>

/* Not believed before our own look: who was wrong of late, who has accused more than we have looked into yet, and anybody while
 * there is no credit (hearing.c), or halves meet: then members are late with their answers, and what is said of one of them reaches
 * all, makes all ask it, and goes round again when they have forgotten that it answered. */
static bool is_believed(struct gossip *g, const struct member *m, const struct node_id *accuser,
                        bool is_hearsay)
{
    const struct suspicion *s;
    int open = 0;
    if (is_credulous(g))
        return true;
    if (accusers_doubt(hearing_account(g, is_hearsay), accuser, g->now))
        return false;
    if (m->state == GOSSIP_SUSPECT)
        return true;
    if (retry_are_returning(g))
        return false;
    for (uint32_t i = 0; i < g->suspicions.count; i++)
        open += (s = g->suspicions.list[i]) && !s->is_own && s->is_hearsay == is_hearsay && s->accusers > 0 &&
                node_id_eq(&s->accuser[0], accuser);
    return open < ACCUSATIONS_OPEN_MAX && hearing_trusts(g);
}

/* A member says that its own dial was refused. The first few are kept and passed on, each with its name: they cut no
 * pause short unless our own dial is refused too, which no member can bring about. */
static void hear_refused(struct gossip *g, struct member *m, const struct node_id *accuser,
                         struct member *source)
{
    const struct member *who = members_find(&g->members, accuser);
    if (!who || who->state != GOSSIP_ALIVE || !suspect_refused_by(member_suspicion(m), accuser))
        return;
    if (!member_suspicion(m)->is_unsure)
        tell_member(g, RUMORS_OPINION, m, source, member_opinion(m) ? NULL : accuser, 0,
                    (uint8_t)g->cfg.eager_fanout);
    verdict_judge(g, member_suspicion(m));
}

/* Hearsay in this accuser's name was wrong before. Its own word makes us look, but we do not repeat it: what we say is in our own
 * name, once our look has failed. */
static void pass_on(struct gossip *g, struct member *m, const struct node_id *accuser, struct member *source)
{
    if (!member_suspicion(m)->is_unsure)
        tell_member(g, RUMORS_OPINION, m, source, accuser, 0, (uint8_t)g->cfg.eager_fanout);
}

static void believe(struct gossip *g, struct member *m, const struct rumor_item *i, struct member *source)
{
    bool is_hearsay = !node_id_eq(member_id(source), &i->accuser);
    if (m->state == GOSSIP_ALIVE) {
        apply_suspicion(g, m, &i->accuser, g->now, false, false);
        if (member_suspicion(m)) {
            member_suspicion(m)->is_hearsay = is_hearsay;
            member_suspicion(m)->is_on_credit = true;
            member_suspicion(m)->is_unsure =
                !is_credulous(g) && accusers_doubt(&g->hearsay, &i->accuser, g->now);
            pass_on(g, m, &i->accuser, source);
        }
    } else if (!is_hearsay) {
        verdict_confirm(g, m, &i->accuser);
    }
    if (member_suspicion(m) && i->reason == REASON_REFUSED)
        hear_refused(g, m, &i->accuser, source);
    if (member_suspicion(m) && i->type == RUMOR_DEAD)
        verdict_hasten(g, m);
}

/* It answered us a moment ago, so we do not believe this, and tell only the accused: its accuser may have lost the path to it, and
 * there only the word of the accused counts. If it is only a link that works, we look. */
static void defend(struct gossip *g, struct member *m, const struct rumor_item *i, struct member *source)
{
    struct member *accuser = members_find(&g->members, &i->accuser);
    struct out warning = {.type = OUT_WARNING, .to = m, .about = accuser ? accuser : source};
    bool is_hearsay = !node_id_eq(member_id(source), &i->accuser);
    hearing_look(g, m, &i->accuser, source);
    if (g->now < m->busy->warned_at + REFUTE_SPACING_MS || !apply_addr(g, m, &warning.via) ||
        !hearing_tells_accused(g, &i->accuser, is_hearsay))
        return;
    m->busy->warned_at = g->now;
    outbox_put(&g->answers, &warning);
}

void opinion_heard(struct gossip *g, const struct rumor_item *i, struct member *source)
{
    assert(i->type == RUMOR_SUSPECT || i->type == RUMOR_DEAD);
    /* i->version names what the accuser held; only an incarnation refutes. */
    if (is_self(g, &i->subject) && i->reason == REASON_DEGRADED)
        return; /* nothing to refute: answers are what counts */
    if (is_self(g, &i->subject)) {
        /* An accusation never raises our number beyond what we signed (memberlist#358, ADVERSARY G5). */
        if (g->self && i->incarnation == member_incarnation(g->self) &&
            g->wanted_incarnation <= i->incarnation)
            hearing_accused(g, i->incarnation, &i->accuser);
        return;
    }
    struct member *m = members_find(&g->members, &i->subject);
    if (!m || i->incarnation != member_incarnation(m) || m->state == GOSSIP_LEFT || m->state == GOSSIP_DEAD)
        return;
    /* Nor does the word of one whom we hold dead count: it may have been cut off, and just comes back. */
    if (is_self(g, &i->accuser) || node_id_eq(&i->accuser, &i->subject) ||
        (source->state != GOSSIP_ALIVE && !is_credulous(g)))
        return;
    const struct member *accuser = members_find(&g->members, &i->accuser);
    bool is_hearsay = !node_id_eq(member_id(source), &i->accuser);
    bool is_vouched = g->now < member_vouched_until(m) || g->now < member_works_until(m);
    if (i->reason == REASON_DEGRADED && !degrade_is(source))
        degrade_heard(g, m, &i->accuser, source);
    else if (degrade_is(source) || (accuser && degrade_is(accuser)) || degrade_is_heard(g, m))
        degrade_asked(g, m, &i->accuser, is_hearsay);
    else if (is_vouched && m->state == GOSSIP_ALIVE)
        defend(g, m, i, source);
    else if (is_believed(g, m, &i->accuser, is_hearsay))
        believe(g, m, i, source);
    else
        hearing_look(g, m, &i->accuser, source);
}

void opinion_held(struct gossip *g, enum gossip_state state, const struct node_id *subject,
                  uint64_t incarnation, struct member *source)
{
    const struct rumor_item i = {.type = state == GOSSIP_DEAD ? RUMOR_DEAD : RUMOR_SUSPECT,
                                 .subject = *subject,
                                 .accuser = *member_id(source),
                                 .incarnation = incarnation};
    opinion_heard(g, &i, source);
}
