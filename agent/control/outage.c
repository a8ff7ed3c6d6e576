/* Outages of this host itself: it hears nobody, or it stood still. Each is told of this host, in a line when it begins and one when it is
 * over, and not of each of the members that it holds dead meanwhile. */
#include "control/inner.h"
#include "observe/log.h"

enum {
    LATE_MS = 50,                     /* a turn that comes this much after its deadline was starved */
    STOOD_STILL_MS = 3000,            /* ... and by this, others may have taken us for gone */
    STOOD_STILL_SAY_EVERY_MS = 60000, /* but what lasted longer: a starved host would say it all the time */
    STOOD_STILL_TOLD_MS = 600 * 1000, /* for so long `status` tells of the longest */
    NAMED_MAX = 3,                    /* members, in one line */
};

void control_note_heard(struct control *c, struct member *m, mono_ms now)
{
    m->heard_at = now;
    cut_off_heard(&c->cut_off, now);
}

/* -- standing still ---------------------------------------------------------------------------- */

static void stood_still(struct control *c, uint64_t ms)
{
    char span[SPAN_TEXT_MAX];
    uint64_t ago_ms;
    bool is_less = control_stood_still_ms(c, &ago_ms) > ms;
    bool is_said = c->stood_said_at > 0 && is_less && c->now < c->stood_said_at + STOOD_STILL_SAY_EVERY_MS;
    c->stood_at = is_less ? c->stood_at : c->now;
    c->stood_ms = is_less ? c->stood_ms : ms;
    if (!is_said)
        c->stood_said_at = c->now;
    if (!is_said)
        log_warn("control",
                 "this agent stood still for %s: it was stopped, its host was asleep, or it got no processor "
                 "or disk; others may have held it dead meanwhile",
                 span_text(ms, span));
}

void control_note_lateness(struct control *c)
{
    if (c->deadline == NEVER || c->now <= c->deadline + LATE_MS)
        return;
    uint64_t late_ms = c->now - c->deadline;
    gossip_late(c->gossip, (uint32_t)late_ms);
    metric_add(control_counter(c, CONTROL_LATE), 1);
    cut_off_stood_still(&c->cut_off, late_ms, c->now);
    if (late_ms >= STOOD_STILL_MS)
        stood_still(c, late_ms);
}

uint64_t control_stood_still_ms(const struct control *c, uint64_t *ago_ms)
{
    *ago_ms = c->now - c->stood_at;
    return c->stood_at > 0 && *ago_ms < STOOD_STILL_TOLD_MS ? c->stood_ms : 0;
}

/* -- hearing nobody ---------------------------------------------------------------------------- */

uint64_t control_cut_off_ms(const struct control *c)
{
    return c->cut_off.is_on ? c->now - c->cut_off.since : 0;
}

bool control_is_of_outage(struct control *c, struct member *m)
{
    bool is_loss = m->state == GOSSIP_SUSPECT || m->state == GOSSIP_DEAD;
    if (c->cut_off.is_on && is_loss) {
        c->died_unsaid += m->state == GOSSIP_DEAD;
        m->is_loss_unsaid = true;
        return true;
    }
    bool is_return = m->is_loss_unsaid && m->state == GOSSIP_ALIVE;
    m->is_loss_unsaid = false; /* another change is told, of a suspect that dies now too */
    return is_return;
}

/* Who has not come back when the others have. */
static void say_dead(struct control *c)
{
    struct buf names = {0};
    size_t n = 0;
    char who[MEMBER_TEXT_MAX];
    for (struct member *m = c->roster.by_id; m; m = m->hh.next) {
        if (m->is_loss_unsaid && m->state == GOSSIP_DEAD && n++ < NAMED_MAX)
            buf_addf(&names, "%s%s", names.len > 0 ? ", " : "", member_text(m, who));
        m->is_loss_unsaid = false;
    }
    if (n > NAMED_MAX)
        buf_addf(&names, " and %zu more", n - NAMED_MAX);
    if (n > 0)
        log_warn("gossip", "dead, as this host sees now that it hears others again: %s", buf_str(&names));
    buf_fini(&names);
}

static void say_outage(struct control *c, enum cut_off_news news)
{
    char span[SPAN_TEXT_MAX];
    span_text(c->now - c->cut_off.since, span);
    switch (news) {
    case CUT_OFF_BEGINS:
        c->died_unsaid = 0;
        log_warn("gossip",
                 "no other member has been heard for %s: this host seems to be cut off. Those that hear each "
                 "other will hold it dead; does its network work, and does UDP %u pass?",
                 span, c->config.listen[0].port);
        break;
    case CUT_OFF_ALL_DEAD:
        log_warn("gossip",
                 "all %zu members that were alive are held dead now, as this host hears none of them",
                 c->died_unsaid);
        break;
    case CUT_OFF_ENDS:
        log_info("gossip",
                 "other members are heard again: this host was cut off for %s, and held %zu members dead "
                 "meanwhile",
                 span, c->died_unsaid);
        break;
    case CUT_OFF_SETTLED:
        say_dead(c);
        break;
    case CUT_OFF_NOTHING:
        break;
    }
}

/* Silence is as it must be while nobody may talk to us (who is revoked, who gives way to another agent with its key) and when we leave. */
static bool is_silence_meant(const struct control *c)
{
    return c->phase != CONTROL_RUNNING || c->is_revoked || control_refused_by(c) ||
           gossip_is_yielding(c->gossip);
}

void control_watch_outage(struct control *c)
{
    struct gossip_counts n = gossip_counts(c->gossip);
    if (is_silence_meant(c) && !c->cut_off.is_on)
        cut_off_heard(&c->cut_off, c->now);
    size_t known = (size_t)n.alive + n.suspect;
    say_outage(c, cut_off_step(&c->cut_off, known > 0 ? known - 1 : 0, c->now));
}
