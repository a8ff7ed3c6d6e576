#include "sim/acts.h"
#include "sim/story.h"

/* Published at one, everywhere soon; a newer one replaces it; who was away gets it when back; a late older
 * one changes nothing. */
void story_policy(struct world *w)
{
    if (!acts_start_all(w))
        return;
    const struct doc *d = world_publish(w, acts_pick(w, w->config.hosts), 1, 20 * 1000);
    if (!acts_all_have(w, d, SEC(10)))
        return;
    uint32_t away = acts_other_host(w), publisher = away == 1 ? 0 : 1;
    host_crash(w, away);
    d = world_publish(w, publisher, 2, 300 * 1000);
    if (!acts_all_have(w, d, SEC(15)))
        return;
    host_start(w, away);
    if (!acts_all_have(w, d, SEC(30)))
        return;
    world_publish(w, publisher, 3, 1000);
    d = world_publish(w, publisher, 4, 1000);
    if (acts_all_have(w, d, SEC(15)))
        world_agree(w, acts_agree_bound(w), "publishing");
}

/* ---- a flood of one kind of news keeps no other out ---- */

enum { FLOOD_S = 20, FLOOD_STEP_MS = 10, FLOOD_BOUND_S = 5, KINDS = 4 };
static const char *const kind_text[KINDS] = {"documents", "good-byes", "records", "opinions"};

struct flood {
    uint32_t kind;
    mono_us until;
};

static bool is_free(const struct world *w, uint32_t h)
{
    return w->host[h].state == HOST_UP && !w->host[h].wants_to_leave;
}

/* Of the hosts of the second half, so that the first half's news can be watched. */
static uint32_t flooder(struct world *w)
{
    uint32_t half = w->config.hosts / 2;
    return half + acts_pick(w, w->config.hosts - half);
}

static void say_good_bye(struct world *w, uint32_t h)
{
    if (w->host[h].wants_to_leave) { /* and is back */
        host_stop(w, h);
        host_start(w, h);
    } else if (is_free(w, h)) {
        host_leave(w, h);
    }
}

static void accuse(struct world *w, uint32_t h)
{
    uint32_t about = flooder(w);
    if (!is_free(w, h) || about == h)
        return;
    gossip_link_lost(w->host[h].gossip, signer_id(w->signer, about), GOSSIP_LINK_BROKEN,
                     host_ms(&w->host[h]));
    host_timer(&w->host[h]);
}

static void flood(struct world *w, uint32_t unused)
{
    struct flood *f = w->study;
    uint32_t h = flooder(w);
    (void)unused;
    if (w->now >= f->until)
        return;
    world_after(w, MS(FLOOD_STEP_MS), 0, flood);
    if (f->kind == 0 && w->doc_count < WORLD_DOCS_MAX - 4 && is_free(w, h))
        world_publish(w, h, w->doc_count + 1, 2000);
    else if (f->kind == 1)
        say_good_bye(w, h);
    else if (f->kind == 2 && is_free(w, h))
        host_update(w, h);
    else if (f->kind == 3)
        accuse(w, h);
}

/* `f` must live as long as the world runs in this story. */
static void begin_flood(struct world *w, struct flood *f)
{
    f->until = w->now + SEC(FLOOD_S);
    w->study = f;
    flood(w, 0);
}

/* What the quiet half has to know of its own news: a good-bye, a record, a death, a document. */
struct quiet_news {
    uint32_t left, updated, gone;
    uint64_t version;
    const struct doc *doc; /* NULL: the flood is of documents */
};

static bool knows(const struct world *w, uint32_t h, const struct quiet_news *n, uint32_t kind)
{
    struct gossip_member m;
    const uint32_t subject[KINDS] = {0, n->left, n->updated, n->gone};
    if (kind == 0)
        return !n->doc || w->host[h].disk.doc == n->doc;
    if (h == subject[kind])
        return true;
    if (!gossip_member_get(w->host[h].gossip, signer_id(w->signer, subject[kind]), &m))
        return false;
    return kind == 1 ? m.state == GOSSIP_LEFT : kind == 2 ? m.version >= n->version : m.state == GOSSIP_DEAD;
}

static bool is_known(const struct world *w, const struct quiet_news *n, uint32_t kind)
{
    for (uint32_t h = 0; h < w->config.hosts / 2; h++)
        if (host_is_running(&w->host[h]) && !w->host[h].is_left && !knows(w, h, n, kind))
            return false;
    return true;
}

static struct quiet_news tell_news(struct world *w, const struct flood *f)
{
    struct quiet_news n = {.left = 1, .updated = 2, .gone = 3};
    n.doc = f->kind == 0 ? NULL : world_publish(w, 0, 1, 5000);
    host_leave(w, n.left);
    host_update(w, n.updated);
    n.version = w->host[n.updated].own->version;
    host_crash(w, n.gone);
    return n;
}

/* A hundred times a second half of the hosts have something to tell, all of one kind; meanwhile the other half gets
 * to know of a document, a good-bye, an update and a death in time. */
void story_classes(struct world *w)
{
    struct flood f = {.kind = acts_pick(w, KINDS)};
    mono_us took[KINDS] = {0};
    if (w->config.hosts < 2 * KINDS || !acts_start_all(w) || !world_run(w, SEC(5)))
        return;
    begin_flood(w, &f);
    world_run(w, SEC(3));
    const struct quiet_news n = tell_news(w, &f);
    mono_us start = w->now, bound = SEC(FLOOD_BOUND_S);
    while (world_run(w, MS(5)) && w->now - start < acts_death_bound(w))
        for (uint32_t kind = 0; kind < KINDS; kind++)
            if (took[kind] == 0 && is_known(w, &n, kind))
                took[kind] = w->now - start;
    for (uint32_t kind = 0; kind < KINDS && world_is_well(w); kind++) {
        trace_line(&w->trace, w->now, "in a flood of %s, %s take %llu ms", kind_text[f.kind], kind_text[kind],
                   (unsigned long long)took[kind] / 1000);
        if (took[kind] == 0 || took[kind] > bound + (kind == 3 ? SEC(10) : 0))
            world_fail(w, "in a flood of %s, %s take %llu ms", kind_text[f.kind], kind_text[kind],
                       (unsigned long long)took[kind] / 1000);
    }
    acts_stop_leavers(w);
    if (world_run(w, SEC(10)))
        world_agree(w, acts_agree_bound(w), "a flood");
}
