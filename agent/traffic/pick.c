#include "traffic/pick.h"

#include "base/rng.h"
#include "traffic/group.h"

enum {
    PROBES = 8,         /* random draws before the exact scan: that nearly all have been tried is rare */
    KEY_WALK_MAX = 512, /* places of a table that are looked at for one request */
};

struct traffic {
    struct groups groups;
    struct rng rng;
};

struct traffic *traffic_new(struct traffic_shared *shared, uint64_t seed)
{
    struct traffic *t = calloc(1, sizeof *t);
    if (t) {
        t->rng = rng_seeded(seed);
        t->groups.shared = shared;
        t->groups.salt = rng_u64(&t->rng);
    }
    return t;
}

void traffic_free(struct traffic *t)
{
    if (t)
        groups_fini(&t->groups);
    free(t);
}

struct traffic_shared *traffic_shared_of(const struct traffic *t)
{
    return t->groups.shared;
}

/* --- requests in flight -------------------------------------------------------------------- */

struct load *traffic_begin(struct traffic *t, const struct view_endpoint *e)
{
    struct load *l = load_ref(&t->groups.loads, e);
    if (!l)
        return NULL;
    l->outstanding++;
    if (!l->outlier_key && t->groups.shared)
        l->outlier_key = outlier_key(t->groups.shared->outliers, e);
    return l;
}

struct load *traffic_load(const struct traffic *t, const struct view_endpoint *e)
{
    return load_find(&t->groups.loads, e);
}

/* What a try says of how fast the next one will be answered; 0: nothing. */
static double worth_us(const struct traffic_outcome *o, const struct load *l, mono_ms now)
{
    double took = o->latency_us;
    bool refused = o->status == 429 || o->status == 503;
    switch (o->kind) {
    case TRY_ANSWERED:
        return refused && took < LOAD_PENALTY_US ? LOAD_PENALTY_US : took;
    case TRY_UNREACHED:
    case TRY_RESET:
        return took < LOAD_PENALTY_US ? LOAD_PENALTY_US : took;
    case TRY_TIMEOUT:
        return took;
    case TRY_CANCELLED: /* it would have taken at least so long */
        return took > load_latency_us(l, now) ? took : 0;
    }
    return 0;
}

void traffic_end(struct traffic *t, struct load *l, const struct traffic_outcome *o, mono_ms now)
{
    if (!l || l->outstanding == 0)
        return; /* its begin found no memory */
    double us = worth_us(o, l, now);
    if (us > 0)
        load_observe(l, us, now);
    l->outstanding--;
    load_unref(&t->groups.loads, l);
}

size_t traffic_outstanding(const struct traffic *t, const struct view_endpoint *e)
{
    const struct load *l = traffic_load(t, e);
    return l ? l->outstanding : 0;
}

void traffic_tried_add(struct traffic_tried *tried, const struct view_endpoint *e)
{
    if (tried->count < TRAFFIC_TRIED_MAX)
        tried->count++;
    tried->at[tried->count - 1] = e;
}

/* --- candidates ---------------------------------------------------------------------------- */

struct field { /* the members of a level that may be chosen now */
    struct traffic *t;
    const struct traffic_ask *ask;
    struct group *g;
    struct level *level;
    const uint32_t *at; /* indices of members */
    uint32_t count;
    bool panic, spares; /* all that would take a request; spares only; else the healthy only */
};

static struct field field_of(struct traffic *t, struct group *g, const struct traffic_ask *ask, size_t level,
                             bool panic, bool spares)
{
    struct level *l = &g->level[level];
    const struct spread_level *h = &l->health;
    struct field f = {.t = t, .ask = ask, .g = g, .level = l, .panic = panic, .spares = spares && !panic};
    f.at = &g->order[l->begin + (f.spares ? h->healthy : 0)];
    f.count = panic ? h->total : spares ? h->spare : h->healthy;
    return f;
}

static const struct member *member_at(const struct field *f, uint32_t i)
{
    return &f->g->member[f->at[i]];
}

static bool is_same(const struct view_endpoint *a, const struct view_endpoint *b)
{
    return a == b || (a->node == b->node && strcmp(a->service, b->service) == 0);
}

static bool was_tried(const struct field *f, const struct member *m)
{
    const struct traffic_tried *tried = f->ask->tried;
    for (size_t i = 0; tried && i < tried->count; i++)
        if (is_same(tried->at[i], m->endpoint))
            return true;
    return false;
}

/* Uniform among those that have not been tried, and are not `other`: random draws first, and when they miss a scan that
 * keeps the k-th with probability 1/k (Vitter, algorithm R, with a reservoir of one). Both are uniform, so is their mixture. */
static const struct member *draw(const struct field *f, const struct member *other)
{
    const struct member *chosen = NULL;
    uint32_t seen = 0;
    for (int i = 0; f->count > 0 && i < PROBES; i++) {
        const struct member *m = member_at(f, rng_below(&f->t->rng, f->count));
        if (m != other && !was_tried(f, m))
            return m;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        const struct member *m = member_at(f, i);
        if (m != other && !was_tried(f, m) && rng_below(&f->t->rng, ++seen) == 0)
            chosen = m;
    }
    return chosen;
}

static void draw_two(const struct field *f, const struct member *two[2])
{
    if (f->count >= 2 &&
        (!f->ask->tried || f->ask->tried->count == 0)) { /* nearly always: two at one throw */
        uint64_t dice = rng_u64(&f->t->rng);
        uint32_t a = (uint32_t)((dice >> 32) * f->count >> 32);
        uint32_t b = (uint32_t)((dice & UINT32_MAX) * (f->count - 1) >> 32);
        two[0] = member_at(f, a);
        two[1] = member_at(f, b >= a ? b + 1 : b);
        return;
    }
    two[0] = draw(f, NULL);
    two[1] = two[0] && f->count >= 2 ? draw(f, two[0]) : NULL;
}

/* --- balancers ----------------------------------------------------------------------------- */

/* Is a new instance to be passed over this time? So it gets its share of what it would get else. */
static bool is_too_cold(const struct field *f, const struct member *m)
{
    if (f->ask->now >= f->g->cold_until)
        return false;
    uint32_t warmth = load_warmth_ppm(m->load, f->ask->settings->load_balancer.slow_start_ms, f->ask->now);
    return warmth < 1000000 && rng_below(&f->t->rng, 1000000) >= warmth;
}

/* Was it ejected until now, and is nobody its probe? Then the first who draws it is, or a slow one would stay out for good. */
static bool is_due(const struct field *f, const struct member *m)
{
    const struct traffic_shared *s = f->t->groups.shared;
    return s && outlier_standing(s->outliers, m->endpoint, f->ask->now) == OUTLIER_DUE;
}

static bool is_cheaper(const struct load *a, const struct load *b, bool by_latency, mono_ms now)
{
    if (!by_latency)
        return a->outstanding < b->outstanding;
    if (load_is_unasked(a) && load_is_unasked(b))
        return a->rtt_us < b->rtt_us;
    if (load_is_unasked(a) || load_is_unasked(b))
        return load_is_unasked(a);
    return load_cost(a, now) < load_cost(b, now);
}

static const struct member *better_of_two(const struct field *f, bool by_latency)
{
    const struct member *two[2];
    draw_two(f, two);
    if (!two[1])
        return two[0];
    if (is_due(f, two[0]) || is_due(f, two[1]))
        return two[!is_due(f, two[0])];
    bool second = is_cheaper(two[1]->load, two[0]->load, by_latency, f->ask->now);
    return two[is_too_cold(f, two[second]) ? !second : second];
}

static const struct member *any_one(const struct field *f)
{
    const struct member *two[2];
    if (f->ask->now >= f->g->cold_until)
        return draw(f, NULL);
    draw_two(f, two);
    return two[1] && is_too_cold(f, two[0]) ? two[1] : two[0];
}

static const struct node_id *node_of(const struct member *m)
{
    static const struct node_id here;
    return m->endpoint->node ? &m->endpoint->node->id : &here;
}

/* Who follows him whose turn was the last: the next by node id, or the first of all. */
static uint32_t find_turn(const struct field *f)
{
    const struct node_id *last = &f->g->turn[f->level->rank];
    for (uint32_t i = 0; i < f->count; i++)
        if (node_id_cmp(node_of(member_at(f, i)), last) > 0)
            return i;
    return 0;
}

/* At most one round; who was passed over for being new may have it in the end when nobody else is left. */
static const struct member *next_in_turn(const struct field *f)
{
    const struct member *m = NULL;
    uint32_t i = f->level->turn_at == UINT32_MAX ? find_turn(f) : f->level->turn_at;
    for (uint32_t k = 0; k < f->count; k++, i++) {
        i = i < f->count ? i : 0;
        if (was_tried(f, member_at(f, i)))
            continue;
        m = member_at(f, i);
        if (!is_too_cold(f, m))
            break;
    }
    if (!m)
        return NULL;
    f->level->turn_at = i + 1 < f->count ? i + 1 : 0;
    f->g->turn[f->level->rank] = *node_of(m);
    return m;
}

static bool may_take(const struct field *f, const struct member *m)
{
    enum traffic_standing s = (enum traffic_standing)m->standing;
    bool fits = f->panic ? s <= TRAFFIC_UNHEALTHY : s == (f->spares ? TRAFFIC_SPARE : TRAFFIC_CANDIDATE);
    return fits && !was_tried(f, m);
}

/* Where hardly anybody of a level will do, the places of the table are too many to look at. The key then counts among those who will. */
static const struct member *by_key_of_few(const struct field *f)
{
    uint32_t at = f->count ? (uint32_t)(keytable_mix(f->ask->key) % f->count) : 0;
    for (uint32_t i = 0; i < f->count; i++, at = at + 1 < f->count ? at + 1 : 0)
        if (!was_tried(f, member_at(f, at)))
            return member_at(f, at);
    return NULL;
}

/* The first from the key's place on that will do: other keys stay where they are. */
static const struct member *by_key(const struct field *f, enum keytable_kind kind)
{
    size_t level = (size_t)(f->level - f->g->level);
    const struct keytable *table = group_table(&f->t->groups, f->g, level, kind, &f->ask->view->self);
    size_t place = table ? keytable_find(table, f->ask->key) : 0;
    size_t most = table && f->count > 0 ? keytable_places(table) : 0;
    for (size_t i = 0; i < most && i < KEY_WALK_MAX; i++, place = keytable_next(table, place)) {
        const struct member *m = &f->g->member[f->level->begin + keytable_member(table, place)];
        if (may_take(f, m))
            return m;
    }
    return by_key_of_few(f);
}

static const struct member *balance(const struct field *f)
{
    enum policy_balance by = f->ask->settings->load_balancer.policy;
    if ((by == BALANCE_RING_HASH || by == BALANCE_MAGLEV) && f->ask->has_key)
        return by_key(f, by == BALANCE_RING_HASH ? KEYTABLE_RING : KEYTABLE_MAGLEV);
    if (by == BALANCE_ROUND_ROBIN)
        return next_in_turn(f);
    if (by == BALANCE_RANDOM)
        return any_one(f);
    return better_of_two(f, by == BALANCE_PEAK_EWMA);
}

/* --- choosing ------------------------------------------------------------------------------ */

static enum traffic_why why_none(const struct group *g, const struct traffic_ask *ask)
{
    if (!g)
        return ask->service && ask->service->count ? TRAFFIC_NO_MEMORY : TRAFFIC_NO_INSTANCE;
    if (g->count == 0)
        return ask->service->count ? TRAFFIC_NO_SUBSET : TRAFFIC_NO_INSTANCE;
    return TRAFFIC_NO_HEALTHY;
}

/* The same key goes to the same level, and not by the bits that place it there. */
static uint32_t throw_for(struct traffic *t, const struct traffic_ask *ask)
{
    uint64_t dice = ask->has_key ? keytable_mix(ask->key ^ 0x9e3779b97f4a7c15u) : rng_u64(&t->rng);
    return (uint32_t)((dice >> 32) * SPREAD_ALL_PPM >> 32);
}

/* For who has tried all of the level that was thrown: another level, and at last a spare. */
static const struct member *from_another(struct traffic *t, struct group *g, const struct traffic_ask *ask,
                                         const struct spread *s, bool *panic)
{
    const struct member *m = NULL;
    for (size_t i = 0; i < 2 * g->level_count && !m; i++) {
        size_t level = i % g->level_count;
        bool spares = i >= g->level_count;
        struct field f =
            field_of(t, g, ask, level, !spares && (s->panics >> level & 1), spares || s->by_spares);
        m = balance(&f);
        *panic = f.panic;
    }
    return m;
}

struct outlook { /* how requests spread over levels, and behind them over the services of `failover` */
    struct spread spread;
    struct spread_level health[SPREAD_LEVELS_MAX];
    size_t places;
};

/* Is the spread that the group holds not this request's? It has no instance, so no group; or may not use all that stand in. */
static bool is_apart(const struct group *g, const struct traffic_ask *ask)
{
    bool may_stand_in = ask->failover_count > 0 && (!g || g->place_count > g->level_count);
    return may_stand_in && (!g || ask->failover_barred);
}

/* Whom the services of `failover` that this caller may not use leave it with. */
static void spread_without(struct traffic *t, const struct group *g, const struct traffic_ask *ask,
                           struct outlook *out)
{
    const struct policy_locality *l = &ask->settings->locality;
    mono_ms until = NEVER;
    size_t levels = g ? g->level_count : 0;
    for (size_t i = 0; i < levels; i++)
        out->health[i] = g->level[i].health;
    out->places = group_stand_ins(&t->groups, ask, out->health, levels, &until);
    spread_compute(&out->spread, out->health, out->places, l->failover_below_ppm, l->panic_below_ppm);
}

/* Who of the thrown level, or of another when all of that have been tried. */
static struct traffic_choice choose_at(struct traffic *t, struct group *g, const struct traffic_ask *ask,
                                       const struct spread *s, size_t level)
{
    struct field f = field_of(t, g, ask, level, s->panics >> level & 1, s->by_spares);
    struct traffic_choice c = {.panic = f.panic, .why = TRAFFIC_PICKED};
    const struct member *m = balance(&f);
    if (!m)
        m = from_another(t, g, ask, s, &c.panic);
    if (m)
        c.endpoint = m->endpoint;
    else
        c.why = TRAFFIC_ALL_TRIED;
    return c;
}

static struct traffic_choice to_stand_in(size_t i)
{
    return (struct traffic_choice){.why = TRAFFIC_FAILOVER, .failover = i};
}

/* Where there is no instance at all, or this caller may not use all that stand in: the spread is one for this request. */
static struct traffic_choice pick_apart(struct traffic *t, struct group *g, const struct traffic_ask *ask)
{
    struct outlook o;
    size_t levels = g ? g->level_count : 0;
    spread_without(t, g, ask, &o);
    if (o.spread.is_nobody)
        return (struct traffic_choice){.why = why_none(g, ask)};
    size_t at = spread_level_of(&o.spread, o.places, throw_for(t, ask));
    return g && at < levels ? choose_at(t, g, ask, &o.spread, at) : to_stand_in(at - levels);
}

struct traffic_choice traffic_pick(struct traffic *t, const struct traffic_ask *ask)
{
    struct group *g = ask->service ? group_of(&t->groups, ask) : NULL;
    if (is_apart(g, ask))
        return pick_apart(t, g, ask);
    if (!g || g->spread.is_nobody)
        return (struct traffic_choice){.why = why_none(g, ask)};
    size_t at =
        g->only >= 0 ? (size_t)g->only : spread_level_of(&g->spread, g->place_count, throw_for(t, ask));
    return at < g->level_count ? choose_at(t, g, ask, &g->spread, at) : to_stand_in(at - g->level_count);
}

/* --- telling ------------------------------------------------------------------------------- */

static bool tell_shared(struct traffic_shared *shared, struct group *g)
{
    bool is_first = true;
    if (shared && g->panics)
        g->panic_place = panics_begin(shared->panics, g->service, g->subset, &is_first);
    else if (shared)
        is_first = panics_end(shared->panics, g->panic_place);
    return is_first;
}

bool traffic_has_news(const struct traffic *t)
{
    return t->groups.untold > 0;
}

bool traffic_news_poll(struct traffic *t, struct traffic_news *out)
{
    struct group *g = groups_untold(&t->groups);
    if (!g)
        return false;
    *out = (struct traffic_news){.service = g->service, .subset = g->subset, .panics = g->panics};
    for (size_t i = 0; i < g->level_count; i++) {
        out->healthy += g->level[i].health.healthy;
        out->total += g->level[i].health.total;
    }
    out->is_first = tell_shared(t->groups.shared, g);
    return true;
}

void traffic_judge(struct traffic *t, const struct view *view, mono_ms now)
{
    groups_judge(&t->groups, view, now);
}

static const struct {
    const char *flag, *text;
} reasons[] = {
    [TRAFFIC_PICKED] = {"", "picked"},
    [TRAFFIC_NO_INSTANCE] = {"UH", "no instance of the service is known"},
    [TRAFFIC_NO_SUBSET] = {"NR", "no living instance carries the labels of the subset"},
    [TRAFFIC_NO_HEALTHY] = {"UH", "no instance is healthy"},
    [TRAFFIC_ALL_TRIED] = {"UH", "every healthy instance has been tried"},
    [TRAFFIC_FAILOVER] = {"UH", "too few instances are healthy"},
    [TRAFFIC_NO_MEMORY] = {"UO", "no memory to choose an instance"},
};

const char *traffic_why_flag(enum traffic_why why)
{
    return reasons[why].flag;
}

const char *traffic_why_text(enum traffic_why why)
{
    return reasons[why].text;
}

const char *traffic_standing_text(enum traffic_standing s)
{
    static const char *const text[] = {
        [TRAFFIC_CANDIDATE] = "candidate",       [TRAFFIC_SPARE] = "spare (suspect or degraded)",
        [TRAFFIC_EJECTED] = "ejected",           [TRAFFIC_UNHEALTHY] = "unhealthy",
        [TRAFFIC_OTHER_SUBSET] = "other subset", [TRAFFIC_DRAINING] = "draining",
        [TRAFFIC_UNREADY] = "without a policy",  [TRAFFIC_DEAD] = "dead"};
    return text[s];
}

static void look_at(struct traffic *t, const struct group *g, const struct traffic_ask *ask,
                    struct outlook *out)
{
    *out = (struct outlook){0};
    if (is_apart(g, ask)) {
        spread_without(t, g, ask, out);
    } else if (g) {
        out->spread = g->spread;
        out->places = g->place_count;
        memcpy(out->health, g->health, g->place_count * sizeof *g->health);
    }
}

static struct traffic_place place_at(const struct outlook *o, size_t i)
{
    const struct spread *s = &o->spread;
    return (struct traffic_place){.panic = s->panics >> i & 1,
                                  .healthy = o->health[i].healthy,
                                  .total = o->health[i].total,
                                  .share_ppm = s->upto_ppm[i] - (i ? s->upto_ppm[i - 1] : 0)};
}

static void tell_places(struct traffic_places *out, const struct group *g, const struct outlook *o)
{
    *out = (struct traffic_places){.level_count = g ? g->level_count : 0};
    for (size_t i = 0; i < out->level_count; i++) {
        out->level[i] = place_at(o, i);
        out->level[i].rank = g->level[i].rank;
    }
    for (size_t i = out->level_count; i < o->places; i++)
        out->failover[out->failover_count++] = place_at(o, i);
}

static void tell_candidate(struct traffic_candidate *c, bool by_spares, const struct traffic_ask *ask,
                           const struct traffic_places *places)
{
    enum traffic_standing used = by_spares ? TRAFFIC_SPARE : TRAFFIC_CANDIDATE;
    c->rank = group_rank(&ask->settings->locality, ask->view, c->endpoint);
    for (size_t i = 0; i < places->level_count; i++) {
        if (places->level[i].rank != c->rank || c->standing > TRAFFIC_UNHEALTHY)
            continue;
        c->share_ppm = places->level[i].share_ppm;
        c->panic = places->level[i].panic;
        c->is_used = c->share_ppm > 0 && (c->panic || c->standing == used);
    }
}

size_t traffic_candidates(struct traffic *t, const struct traffic_ask *ask, struct traffic_places *places,
                          struct traffic_candidate *out, size_t cap)
{
    size_t count = ask->service ? ask->service->count : 0;
    struct group *g = count ? group_of(&t->groups, ask) : NULL;
    struct outlook o;
    look_at(t, g, ask, &o);
    tell_places(places, g, &o);
    for (size_t i = 0; i < count && i < cap; i++) {
        const struct view_endpoint *e = ask->service->endpoint[i];
        out[i] = (struct traffic_candidate){.endpoint = e};
        out[i].standing = group_standing(t->groups.shared, e, ask->subset, ask->now, &out[i].ejected_until);
        if (g)
            tell_candidate(&out[i], o.spread.by_spares, ask, places);
    }
    return count;
}
