#include "control/parts.h"

#include "observe/log.h"

/* -- sets -------------------------------------------------------------------------------------- */

static void set_fini(struct part_set *s)
{
    for (size_t i = 0; i < s->count; i++)
        buf_fini(&s->at[i].bundle);
    s->count = 0;
}

static struct part *find(struct part_set *s, struct bytes name)
{
    for (size_t i = 0; i < s->count; i++)
        if (bytes_eq_str(name, s->at[i].name))
            return &s->at[i];
    return NULL;
}

static enum err set_copy(struct part_set *to, const struct part_set *from)
{
    *to = *from;
    for (size_t i = 0; i < from->count; i++) {
        to->at[i].bundle = (struct buf){0};
        buf_add_bytes(&to->at[i].bundle, buf_bytes(&from->at[i].bundle));
        if (!buf_ok(&to->at[i].bundle)) {
            set_fini(to);
            return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

static struct part *insert(struct part_set *s, struct bytes name)
{
    size_t at = s->count;
    if (s->count == ROOT_DELEGATIONS_MAX)
        return NULL; /* the root has no more delegations, and what it does not delegate was refused */
    for (; at > 0 && codec_cmp(name, bytes_str(s->at[at - 1].name)) < 0; at--)
        s->at[at] = s->at[at - 1];
    s->count++;
    s->at[at] = (struct part){.version = 0};
    memcpy(s->at[at].name, name.at, name.len);
    return &s->at[at];
}

/* -- the document ------------------------------------------------------------------------------ */

static enum err encode(struct buf *out, const struct part_set *s)
{
    codec_put_array(out, s->count);
    for (size_t i = 0; i < s->count; i++)
        codec_put_bin(out, buf_bytes(&s->at[i].bundle));
    return buf_ok(out) ? ERR_OK : ERR_NOMEM;
}

static enum err describe(struct parts *p)
{
    uint8_t all[ROOT_DELEGATIONS_MAX][HASH_BYTES];
    struct buf fresh = {0};
    if (encode(&fresh, &p->now) != ERR_OK) {
        buf_fini(&fresh);
        return ERR_NOMEM;
    }
    buf_fini(&p->document);
    p->document = fresh;
    p->sum = 0;
    for (size_t i = 0; i < p->now.count; i++) {
        memcpy(all[i], p->now.at[i].hash.b, HASH_BYTES);
        p->sum += p->now.at[i].version;
    }
    p->hash = hash_of(bytes_of(all, p->now.count * HASH_BYTES));
    return ERR_OK;
}

/* -- taking parts in --------------------------------------------------------------------------- */

/* ERR_OK: it is in the set now; ERR_EXISTS: nothing newer; else refused. */
static enum err take(struct part_set *s, const struct root *root, struct bytes bundle, struct complaints *c)
{
    struct buf settled = {0};
    struct bundle b;
    enum err e = bundle_settle(&settled, root, bundle);
    struct bytes bytes = e == ERR_OK ? buf_bytes(&settled) : bundle;
    e = bundle_open(&b, NULL, root, bytes, c);
    if (e == ERR_OK && b.part.len == 0)
        e = ERR_MALFORMED;
    struct part *held = e == ERR_OK ? find(s, b.part) : NULL;
    if (held) {
        e = bundle_succeeds(&b, held->epoch, held->version, &held->hash);
        if (e == ERR_CONFLICT) /* of two with one version the lower hash, as of policies */
            log_error("policy",
                      "two validly signed parts %s carry version %llu: the one with the lower hash is kept",
                      held->name, (unsigned long long)b.version);
        e = e == ERR_CONFLICT ? ERR_OK : e == ERR_STALE ? ERR_EXISTS : e;
    }
    if (e == ERR_OK && !held && !(held = insert(s, b.part)))
        e = ERR_LIMIT;
    if (e == ERR_OK) {
        held->epoch = b.epoch;
        held->version = b.version;
        held->hash = b.hash;
        held->bundle.len = 0;
        buf_add_bytes(&held->bundle, bytes);
        e = buf_ok(&held->bundle) ? ERR_OK : ERR_NOMEM;
    }
    buf_fini(&settled);
    return e;
}

/* What is wrong, without the lines that show the place: it goes into logs and status. */
static const char *first_line(struct buf *text, enum err e)
{
    char *line = NULL;
    if (text->len && buf_str(text)[0]) /* ends it with a zero */
        line = (char *)text->at;
    if (line)
        line[strcspn(line, "\n")] = 0;
    return line ? line : err_text(e);
}

static enum err take_one(struct part_set *s, const struct root *root, struct bytes bundle, struct buf *why)
{
    struct complaints c = {.file = "part"};
    enum err e = take(s, root, bundle, &c);
    if (e != ERR_OK && e != ERR_EXISTS)
        buf_add_str(why, first_line(&c.text, e));
    buf_fini(&c.text);
    return e;
}

/* Each part of a document on its own: one that is refused keeps no other out. */
static enum err take_all(struct part_set *s, const struct root *root, struct bytes in, struct buf *why)
{
    struct codec c = codec_of(in);
    enum err worst = ERR_EXISTS;
    bool news = false;
    size_t count = codec_array(&c, "parts", 0, ROOT_DELEGATIONS_MAX);
    for (size_t i = 0; i < count && codec_ok(&c); i++) {
        struct bytes bundle = codec_bin(&c, "parts.bundle", 1, PART_BYTES_MAX);
        enum err e = codec_ok(&c) ? take_one(s, root, bundle, why) : ERR_MALFORMED;
        news = news || e == ERR_OK;
        if (e != ERR_OK && e != ERR_EXISTS)
            worst = e == ERR_NOMEM ? ERR_NOMEM : ERR_DENIED;
    }
    if (codec_end(&c, NULL) != ERR_OK)
        return ERR_MALFORMED;
    return news && worst != ERR_NOMEM ? ERR_OK : worst;
}

static enum err store_next(struct parts *p, struct store *s, uint64_t ticket)
{
    struct buf document = {0};
    enum err e = encode(&document, &p->next);
    if (e == ERR_OK)
        e = store_fact_put(s, "parts", buf_bytes(&document), ticket);
    buf_fini(&document);
    p->busy = e == ERR_OK;
    if (e != ERR_OK)
        set_fini(&p->next);
    return e;
}

static bool is_bundle(struct bytes in)
{
    struct envelope e;
    return envelope_parse(&e, in) == ERR_OK;
}

enum err parts_offer(struct parts *p, struct store *s, const struct root *root, struct bytes in, wall_s now,
                     uint64_t ticket, struct buf *why)
{
    if (p->busy) {
        buf_add_str(why, "another part is just being stored; try again");
        return ERR_AGAIN;
    }
    if (root->expires && now >= root->expires) {
        buf_add_str(
            why, "the root of trust has expired, and nothing new begins under it; publish a new root first");
        return ERR_EXPIRED;
    }
    enum err e = set_copy(&p->next, &p->now);
    if (e == ERR_OK)
        e = is_bundle(in) ? take_one(&p->next, root, in, why) : take_all(&p->next, root, in, why);
    if (e == ERR_EXISTS)
        buf_add_str(why, "this version of the part, or a higher one, is held already");
    if (e == ERR_OK)
        return store_next(p, s, ticket);
    set_fini(&p->next);
    return e;
}

/* True: some of it fell. */
static bool rejudge(struct part_set *set, const struct root *root)
{
    struct part_set kept = {.count = 0};
    for (size_t i = 0; i < set->count; i++)
        if (take(&kept, root, buf_bytes(&set->at[i].bundle), NULL) != ERR_OK)
            log_warn("policy", "the root in force does not vouch for the part %s: it is in force no more",
                     set->at[i].name);
    bool fell = kept.count < set->count;
    set_fini(set);
    *set = kept;
    return fell;
}

static enum err save(const struct parts *p, struct store *s, uint64_t ticket)
{
    return store_fact_put(s, "parts", buf_bytes(&p->document), ticket);
}

bool parts_rejudge(struct parts *p, struct store *s, const struct root *root, uint64_t ticket)
{
    bool fell = rejudge(&p->now, root);
    if (p->busy) /* it keeps its place: the store's answer is about it and nothing else */
        p->save_again = rejudge(&p->next, root) || fell || p->save_again;
    if (describe(p) != ERR_OK)
        log_error("policy", "no memory to tell others of the parts of the policy");
    if (fell && !p->busy && save(p, s, ticket) != ERR_OK)
        log_error("policy", "that a part fell could not be stored; it falls again at the next start");
    return fell;
}

bool parts_confirmed(struct parts *p, struct store *s, enum err outcome)
{
    bool save_again = p->save_again;
    assert(p->busy); /* one at a time */
    p->busy = p->save_again = false;
    if (outcome == ERR_OK) {
        set_fini(&p->now);
        p->now = p->next;
        p->next = (struct part_set){.count = 0};
    } else {
        set_fini(&p->next);
    }
    bool is_told = describe(p) == ERR_OK;
    if (save_again && is_told && save(p, s, 0) != ERR_OK)
        log_error("policy", "that a part fell could not be stored; it falls again at the next start");
    return outcome == ERR_OK && is_told;
}

enum err parts_init(struct parts *p, struct store *s, const struct root *root)
{
    struct buf stored = {0}, why = {0};
    *p = (struct parts){.busy = false};
    enum err e = store_fact_get(s, "parts", &stored);
    if (e == ERR_OK && stored.len > 0) {
        enum err taken = take_all(&p->now, root, buf_bytes(&stored), &why);
        e = taken == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
        if (why.len > 0)
            log_warn("policy", "a stored part of the policy is not used: %s", buf_str(&why));
    }
    buf_fini(&stored);
    buf_fini(&why);
    return e == ERR_OK ? describe(p) : e;
}

void parts_fini(struct parts *p)
{
    set_fini(&p->now);
    set_fini(&p->next);
    buf_fini(&p->document);
}

/* -- becoming one ------------------------------------------------------------------------------ */

struct composition {
    struct policy_source source[1 + ROOT_DELEGATIONS_MAX];
    struct policy_reach reach[1 + ROOT_DELEGATIONS_MAX];
    size_t count;
};

static void fill(struct policy_source *src, struct policy_reach *reach, const struct root *root,
                 const struct part *part)
{
    const struct delegation *d = root_delegation(root, bytes_str(part->name));
    assert(d && "parts_rejudge() keeps no other");
    *reach = (struct policy_reach){part->name, d->service, d->service_count};
    *src = (struct policy_source){
        .file = part->name, .text = bundle_text(buf_bytes(&part->bundle)), .reach_or_null = reach};
}

static void add(struct composition *k, const struct root *root, const struct part *part)
{
    size_t i = k->count++;
    fill(&k->source[i], &k->reach[i], root, part);
}

size_t parts_sources(const struct parts *p, const struct root *root, struct bytes main,
                     struct policy_source *src, struct policy_reach *reach)
{
    size_t count = 1;
    static_assert(1 + ROOT_DELEGATIONS_MAX < POLICY_SOURCES_MAX, "and one more");
    src[0] = (struct policy_source){.file = "policy", .text = main};
    for (size_t i = 0; i < p->now.count; i++)
        if (p->now.at[i].in_force) {
            fill(&src[count], &reach[count], root, &p->now.at[i]);
            count++;
        }
    return count;
}

static void say_why(struct part *part, const char *why)
{
    bool news = part->in_force || strcmp(part->why_not, why) != 0;
    part->in_force = false;
    snprintf(part->why_not, sizeof part->why_not, "%s", why);
    if (news)
        log_error("policy", "the part %s (version %llu) is not in force: %s", part->name,
                  (unsigned long long)part->version, part->why_not);
}

/* With one part more, if that compiles and this agent can do what it asks for; else as before. */
static bool try_with(struct composition *k, const struct root *root, struct part *part,
                     struct policy **policy)
{
    struct complaints c = {.file = part->name};
    struct policy *with = NULL;
    add(k, root, part);
    enum err e = policy_compile_sources(&with, k->source, k->count, &c);
    bool lacks = e == ERR_OK && features_lacking(policy_features(with));
    if (e == ERR_OK && !lacks) {
        policy_unref(*policy);
        *policy = with;
        part->in_force = true;
        part->why_not[0] = 0;
    } else {
        k->count--;
        policy_unref(with);
        say_why(part, lacks ? "it needs a feature that this agent lacks" : first_line(&c.text, e));
    }
    buf_fini(&c.text);
    return e != ERR_NOMEM;
}

struct policy *parts_compose(struct parts *p, const struct root *root, struct policy *alone,
                             struct bytes main)
{
    struct composition k = {.source = {{.file = "policy", .text = main}}, .count = 1};
    struct policy *policy = policy_ref(alone);
    for (size_t i = 0; i < p->now.count; i++)
        if (!try_with(&k, root, &p->now.at[i], &policy)) {
            policy_unref(policy);
            return NULL;
        }
    return policy;
}
