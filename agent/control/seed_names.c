#include "control/seed_names.h"

#include "base/list.h"

/* One resolution of the whole list. One that a newer list has overtaken waits for its answers and is dropped. */
struct round {
    struct list_node node;
    struct seed_names *owner;
    size_t waiting;
    bool failed;
    size_t count;
    struct addr found[SEEDS_ADDRS_MAX];
};

struct seed_names {
    struct net_loop *loop;
    void (*changed)(void *arg, const struct addr *found, size_t count);
    void *arg;
    const struct config *config;
    struct list rounds;
    struct round *round; /* the one that counts; NULL: none is under way */
    mono_ms next;
};

struct seed_names *seed_names_new(struct net_loop *loop, void (*changed)(void *, const struct addr *, size_t),
                                  void *arg)
{
    struct seed_names *s = calloc(1, sizeof *s);
    if (!s)
        return NULL;
    *s = (struct seed_names){.loop = loop, .changed = changed, .arg = arg, .next = NEVER};
    list_init(&s->rounds);
    return s;
}

static void free_round(struct round *r)
{
    list_remove(&r->node);
    free(r);
}

void seed_names_free(struct seed_names *s)
{
    if (!s)
        return;
    list_each_safe (struct round, r, &s->rounds, node) {
        free_round(r);
    }
    free(s);
}

static bool is_own(const struct config *config, const struct addr *a)
{
    for (size_t i = 0; i < config->advertise_count; i++)
        if (addr_eq(&config->advertise[i], a))
            return true;
    return false;
}

static void add(struct round *r, const struct addr *a)
{
    if (r->count == SEEDS_ADDRS_MAX || is_own(r->owner->config, a))
        return;
    for (size_t i = 0; i < r->count; i++)
        if (addr_eq(&r->found[i], a))
            return;
    r->found[r->count++] = *a;
}

/* Takes the answers in when the last one is there. */
static void finish(struct round *r)
{
    struct seed_names *s = r->owner;
    if (r->waiting > 0)
        return;
    if (r == s->round) {
        s->round = NULL;
        s->next = net_now(s->loop) + (r->failed ? SEEDS_RETRY_MS : SEEDS_RESOLVE_EVERY_MS);
        if (r->count > 0 || !r->failed)
            s->changed(s->arg, r->found, r->count);
    }
    free_round(r);
}

static void on_resolved(void *arg, const struct addr *found, size_t count)
{
    struct round *r = arg;
    r->waiting--;
    r->failed |= count == 0;
    for (size_t i = 0; r == r->owner->round && i < count; i++)
        add(r, &found[i]);
    finish(r);
}

static void start_round(struct seed_names *s)
{
    struct round *r = calloc(1, sizeof *r);
    s->next = NEVER;
    if (!r) {
        s->next = net_now(s->loop) + SEEDS_RETRY_MS;
        return;
    }
    r->owner = s;
    r->waiting = 1; /* ourselves, until every question is asked */
    s->round = r;
    list_append(&s->rounds, &r->node);
    for (size_t i = 0; i < s->config->seed_count; i++) {
        char host[CONFIG_HOST_MAX];
        struct addr a;
        uint16_t port;
        (void)addr_split(s->config->seed[i], host, sizeof host, &port,
                         MESH_PORT); /* checked by config_load() */
        if (addr_of_ip(&a, host, port)) {
            add(r, &a);
        } else if (net_resolve(s->loop, host, port, on_resolved, r) == ERR_OK) {
            r->waiting++;
        } else {
            r->failed = true;
        }
    }
    r->waiting--;
    finish(r);
}

void seed_names_set(struct seed_names *s, const struct config *config, mono_ms now)
{
    s->round = NULL;
    s->config = config;
    s->next = now;
    seed_names_step(s, now);
}

void seed_names_step(struct seed_names *s, mono_ms now)
{
    if (s->config && !s->round && now >= s->next)
        start_round(s);
}

mono_ms seed_names_deadline(const struct seed_names *s)
{
    return s->next;
}
