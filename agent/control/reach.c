#include "control/reach.h"

#include "link/link.h"

void reach_note(struct reach *r, enum worker_link_news news, mono_ms now)
{
    mono_ms begun = now;
    switch (news) {
    case WORKER_LINK_WORKS:
        r->failing_since = 0;
        return;
    case WORKER_LINK_TIMEOUT:
        begun = now > LINK_HANDSHAKE_TIMEOUT_MS ? now - LINK_HANDSHAKE_TIMEOUT_MS : 1;
        break;
    case WORKER_LINK_REFUSED:
        break;
    case WORKER_LINK_HEARD: /* it reaches us, which does not say that we reach it */
    case WORKER_LINK_SILENT:
    case WORKER_LINK_LOST: /* the next dial will show */
        return;
    }
    r->is_refused = news == WORKER_LINK_REFUSED;
    if (r->failing_since == 0 || begun < r->failing_since)
        r->failing_since = begun > 0 ? begun : 1;
}

bool reach_is_lost(const struct reach *r, mono_ms now)
{
    return r->failing_since != 0 && now >= r->failing_since + REACH_LOST_MS;
}
