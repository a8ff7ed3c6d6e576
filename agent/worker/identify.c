/* Which service a local client speaks for, by the user id that owns its socket. Clients of an entry of their
 * own need no asking. */
#include "worker/internal.h"

const char *caller_by_uid(const struct worker *w, const struct net_conn *c)
{
    const struct worker_config *g = &w->all->config;
    bool asked = false;
    uid_t uid = 0;
    for (size_t i = 0; i < g->caller_count; i++) {
        if (!g->caller[i].by_uid)
            continue;
        if (!asked && net_conn_uid(c, &uid) != ERR_OK)
            return NULL;
        asked = true;
        if (g->caller[i].uid == uid)
            return g->caller[i].service;
    }
    return NULL;
}
