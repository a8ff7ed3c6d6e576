#include "control/doubled.h"

bool doubled_is_on(const struct doubled *d, mono_ms now)
{
    return d->seen_at > 0 && now < d->seen_at + DOUBLED_MS;
}

bool doubled_note(struct doubled *d, const struct addr *at, mono_ms now)
{
    bool was_on = doubled_is_on(d, now);
    if (addr_eq(&d->at, at))
        return false;
    bool is_back = d->before.port != 0 && addr_eq(&d->before, at) && now < d->moved_at + DOUBLED_MS;
    d->before = d->at;
    d->at = *at;
    d->moved_at = now;
    if (is_back)
        d->seen_at = now > 0 ? now : 1;
    return is_back && !was_on;
}
