#include "control/cut_off.h"

void cut_off_heard(struct cut_off *o, mono_ms now)
{
    o->heard_at = now;
}

void cut_off_stood_still(struct cut_off *o, uint64_t ms, mono_ms now)
{
    if (o->heard_at > 0 && !o->is_on)
        o->heard_at = mono_min(now, o->heard_at + ms);
}

static enum cut_off_news while_on(struct cut_off *o, size_t others, mono_ms now)
{
    if (now < o->heard_at + CUT_OFF_MS) {
        o->is_on = o->are_all_dead = false;
        o->settle_at = now + CUT_OFF_SETTLE_MS;
        return CUT_OFF_ENDS;
    }
    if (others > 0 || o->are_all_dead)
        return CUT_OFF_NOTHING;
    o->are_all_dead = true;
    return CUT_OFF_ALL_DEAD;
}

enum cut_off_news cut_off_step(struct cut_off *o, size_t others, mono_ms now)
{
    if (o->heard_at == 0)
        o->heard_at = now > 0 ? now : 1; /* silence is counted from our start on */
    if (o->is_on)
        return while_on(o, others, now);
    if (others >= CUT_OFF_OTHERS_MIN && now >= o->heard_at + CUT_OFF_MS) {
        o->is_on = true;
        o->since = o->heard_at;
        o->settle_at = 0;
        return CUT_OFF_BEGINS;
    }
    if (o->settle_at == 0 || now < o->settle_at)
        return CUT_OFF_NOTHING;
    o->settle_at = 0;
    return CUT_OFF_SETTLED;
}
