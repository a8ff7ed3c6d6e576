#include "sim/signer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/rng.h"
#include "sim/must.h"
#include "sim/quick_hash.h"
#include "trust/cache.h"

enum {
    PORT = 7400,
    DOORS_MAX = 256,
    WEB_PORT = 8080,
    DAY_S = 86400,
    VERDICTS_MAX = 1 << 20,
    VERIFIED_KEPT = 4096
};
enum { RECORDS_KEPT = 64 }; /* of each host, from one world to the next; when there are more, all go */
static const wall_s start_of_time =
    1767225600; /* 2026-01-01: the wall clock of the simulated mesh stands still */
static const char mesh_name[] = "sim.example";

struct identity {
    struct sign_key key;
    struct buf credential;
    struct signed_record *records; /* the latest first */
};

/* What verification said about these very bytes. */
struct verdict {
    uint64_t quick; /* hash of the bytes; 0: the slot is free */
    enum err err;
    struct bytes bytes; /* owned */
    struct gossip_claim claim;
};

/* Keys, signatures and verdicts are the same in every world: host 7's record 2.1 has the same bytes whatever the seed.
 * So they are made and verified once in the life of the process, which is what thousands of short runs need. Belongs,
 * like all of the simulator, to one thread; lives as long as the process. */
struct notary {
    struct trust_cache *trust; /* a credential is verified once, however many records it comes with */
    struct sign_key enrol;
    struct identity *identity;
    uint32_t identities, identity_cap;
    struct identity outsider;
    struct signed_record **record; /* by number - 1 */
    uint32_t record_count, record_cap;
    struct verdict *verdict;
    size_t verdicts, verdict_slots;
    uint32_t signers; /* worlds that are alive and may hold what is above */
};
static struct notary *notary;

struct signer {
    uint32_t hosts;
    uint32_t *host_by_id; /* host + 1, open addressing */
    size_t id_slots;
    const struct signed_record **record; /* what was signed in this world */
    size_t record_count, record_cap;
    const struct signed_record **by_hash;
    size_t hash_slots;
    struct highest *highest; /* [hosts] the latest numbers that each has signed in this world */
};

struct highest {
    uint64_t incarnation, version;
    bool left;
};

/* ---- keys that follow from the seed ---- */

static void seed_bytes(struct rng *r, uint8_t out[32])
{
    for (size_t i = 0; i < 32; i += 8)
        store_be64(out + i, rng_u64(r));
}

static void key_of(struct rng *r, struct sign_key *out)
{
    uint8_t seed[32];
    seed_bytes(r, seed);
    must_ok(sign_key_of_seed(out, seed));
}

static void make_root(struct rng *r, struct buf *out, struct sign_key *enrol)
{
    struct sign_key root_key, policy_key;
    key_of(r, &root_key);
    key_of(r, &policy_key);
    key_of(r, enrol);
    struct root root = {.mesh = bytes_str(mesh_name),
                        .epoch = 1,
                        .root = {1, 1, {root_key.pub}},
                        .policy = {1, 1, {policy_key.pub}},
                        .enrol = {1, 1, {enrol->pub}}};
    const struct sign_key *keys[] = {&root_key};
    must_ok(root_create(out, &root, keys, 1));
}

static void make_identity(struct rng *r, struct identity *out, const char *name, const struct sign_key *enrol)
{
    uint8_t secret[32];
    struct dh_key noise;
    key_of(r, &out->key);
    seed_bytes(r, secret);
    must_ok(dh_key_of_secret(&noise, secret));
    struct credential c = {.mesh = bytes_str(mesh_name),
                           .node = bytes_str(name),
                           .id = out->key.pub,
                           .service_count = 1,
                           .service = {bytes_str("web")},
                           .not_before = start_of_time - DAY_S,
                           .expires = start_of_time + DAY_S};
    memcpy(c.noise_key, noise.pub, sizeof c.noise_key);
    must_ok(credential_create(&out->credential, &c, bytes_of(NULL, 0), enrol));
}

static struct notary *notary_new(void)
{
    struct rng r = rng_seeded(0x5157u);
    struct sign_key other_enrol;
    struct buf root = {0}, other_root = {0};
    struct notary *n = must(calloc(1, sizeof *n));
    struct trust *trust;
    must_ok(trust_init());
    make_root(&r, &root, &n->enrol);
    make_root(&r, &other_root, &other_enrol);
    make_identity(&r, &n->outsider, "outsider", &other_enrol);
    must_ok(trust_new(&trust, buf_bytes(&root), NULL));
    n->trust = must(trust_cache_new(trust, VERIFIED_KEPT));
    trust_unref(trust);
    buf_fini(&root);
    buf_fini(&other_root);
    return n;
}

/* Each identity from a generator of its own, so that it does not matter in which order and number they are made. */
static void make_identities(uint32_t hosts)
{
    if (notary->identity_cap < hosts) {
        notary->identity_cap = hosts;
        notary->identity = must(realloc(notary->identity, hosts * sizeof *notary->identity));
    }
    for (; notary->identities < hosts; notary->identities++) {
        char name[24];
        struct rng r = rng_seeded(0x1d000000u + notary->identities);
        snprintf(name, sizeof name, "host-%u", notary->identities);
        notary->identity[notary->identities] = (struct identity){0};
        make_identity(&r, &notary->identity[notary->identities], name, &notary->enrol);
    }
}

/* ---- who is who ---- */

static size_t id_slot(const struct signer *s, const struct node_id *id)
{
    return load_be64(id->b) & (s->id_slots - 1);
}

static void index_ids(struct signer *s)
{
    for (s->id_slots = 64; s->id_slots < 4 * (size_t)s->hosts;)
        s->id_slots *= 2;
    s->host_by_id = must(calloc(s->id_slots, sizeof *s->host_by_id));
    for (uint32_t h = 0; h < s->hosts; h++) {
        size_t i = id_slot(s, signer_id(s, h));
        while (s->host_by_id[i])
            i = (i + 1) & (s->id_slots - 1);
        s->host_by_id[i] = h + 1;
    }
}

const struct node_id *signer_id(const struct signer *s, uint32_t host)
{
    (void)s;
    return &notary->identity[host].key.pub;
}

const struct node_id *signer_outsider_id(const struct signer *s)
{
    (void)s;
    return &notary->outsider.key.pub;
}

uint32_t signer_host_of(const struct signer *s, const struct node_id *id)
{
    for (size_t i = id_slot(s, id); s->host_by_id[i]; i = (i + 1) & (s->id_slots - 1))
        if (node_id_eq(id, signer_id(s, s->host_by_id[i] - 1)))
            return s->host_by_id[i] - 1;
    return UINT32_MAX;
}

/* 10.0.0.1 and onwards; a host that moves gets another port. */
struct addr signer_addr(uint32_t host, uint8_t door)
{
    struct addr a = {.ip = {[10] = 0xff, [11] = 0xff}, .port = (uint16_t)(PORT + door)};
    store_be32(a.ip + 12, 0x0a000001u + host);
    return a;
}

uint32_t signer_host_at(const struct signer *s, const struct addr *a, uint8_t *door)
{
    uint32_t host = load_be32(a->ip + 12) - 0x0a000001u, number = (uint32_t)a->port - PORT;
    *door = (uint8_t)number;
    return addr_is_v4(a) && number < DOORS_MAX && host < s->hosts ? host : UINT32_MAX;
}

struct signer *signer_new(uint32_t hosts)
{
    if (!notary)
        notary = notary_new();
    make_identities(hosts);
    struct signer *s = must(calloc(1, sizeof *s));
    notary->signers++;
    s->hosts = hosts;
    s->highest = must(calloc(hosts, sizeof *s->highest));
    index_ids(s);
    return s;
}

/* Forgeries are seen once and never again: when there are too many, all verdicts go and are made anew. */
static void forget_verdicts(struct notary *n)
{
    for (size_t i = 0; i < n->verdict_slots; i++)
        free((void *)n->verdict[i].bytes.at);
    free(n->verdict);
    n->verdict = NULL;
    n->verdicts = n->verdict_slots = 0;
}

/* Records that say where their owner is are another in every world: a process that plays thousands would walk ever longer
 * lists of them, and keep them all. */
static void forget_records(struct notary *n)
{
    for (uint32_t i = 0; i < n->record_count; i++)
        free(n->record[i]);
    for (uint32_t i = 0; i < n->identities; i++)
        n->identity[i].records = NULL;
    n->record_count = 0;
    forget_verdicts(n);
}

void signer_free(struct signer *s)
{
    if (!s)
        return;
    if (--notary->signers == 0 && notary->record_count > RECORDS_KEPT * notary->identities)
        forget_records(notary);
    free(s->host_by_id);
    free(s->record);
    free(s->by_hash);
    free(s->highest);
    free(s);
}

/* ---- records ---- */

struct draft {
    struct addr addr;
    uint64_t incarnation, version;
    bool left, is_twin;
    struct signed_words words;
};
static const struct signed_words plain = {.protocol = GOSSIP_PROTOCOL_MAX, .layout = 1};

static void make_record(const struct identity *owner, const struct draft *d, const struct sign_key *by,
                        struct buf *out)
{
    struct record r = {.incarnation = d->incarnation,
                       .version = d->version,
                       .left = d->left,
                       .addr_count = 1,
                       .addr = {d->addr},
                       .protocol_min = GOSSIP_PROTOCOL_MIN,
                       .protocol_max = d->words.protocol,
                       .service_count = 1,
                       .policy_epoch = d->words.policy.epoch,
                       .policy_version = d->words.policy.version,
                       .policy_hash = d->words.policy.hash,
                       .rollout = d->words.policy.rollout,
                       .layout = d->words.layout};
    static_assert(sizeof r.coordinate == sizeof d->words.coordinate, "the record's is gossip's");
    memcpy(r.coordinate, d->words.coordinate.b, sizeof r.coordinate);
    r.credential.bytes = buf_bytes(&owner->credential);
    r.service[0] = (struct record_service){.name = bytes_str("web"),
                                           .port = (uint16_t)(WEB_PORT + d->is_twin),
                                           .protocol = PROTOCOL_HTTP,
                                           .healthy = true};
    must_ok(record_create(out, &r, by));
}

static size_t hash_slot(const struct hash *h, size_t slots)
{
    return load_be64(h->b) & (slots - 1);
}

const struct signed_record *signer_find(const struct signer *s, const struct hash *hash)
{
    if (s->hash_slots == 0)
        return NULL;
    for (size_t i = hash_slot(hash, s->hash_slots); s->by_hash[i]; i = (i + 1) & (s->hash_slots - 1))
        if (hash_eq(hash, &s->by_hash[i]->hash))
            return s->by_hash[i];
    return NULL;
}

static void place(struct signer *s, const struct signed_record *r)
{
    size_t i = hash_slot(&r->hash, s->hash_slots);
    while (s->by_hash[i])
        i = (i + 1) & (s->hash_slots - 1);
    s->by_hash[i] = r;
}

static void remember(struct signer *s, const struct signed_record *r)
{
    if (s->record_count == s->record_cap) {
        s->record_cap = s->record_cap ? 2 * s->record_cap : 256;
        s->record = must(realloc(s->record, s->record_cap * sizeof *s->record));
    }
    s->record[s->record_count++] = r;
    if (4 * s->record_count <= s->hash_slots) {
        place(s, r);
        return;
    }
    free(s->by_hash);
    s->hash_slots = s->hash_slots ? 2 * s->hash_slots : 1024;
    s->by_hash = must(calloc(s->hash_slots, sizeof *s->by_hash));
    for (size_t i = 0; i < s->record_count; i++)
        place(s, s->record[i]);
}

static struct signed_record *sign(const struct signed_record *like)
{
    struct buf bytes = {0};
    struct identity *who = &notary->identity[like->owner];
    const struct draft d = {signer_addr(like->owner, like->door),
                            like->incarnation,
                            like->version,
                            like->left,
                            like->is_twin,
                            like->words};
    make_record(who, &d, &who->key, &bytes);
    struct signed_record *r = must(malloc(sizeof *r + bytes.len));
    memcpy(r + 1, bytes.at, bytes.len);
    *r = *like;
    r->hash = hash_of(buf_bytes(&bytes));
    r->bytes = bytes_of(r + 1, bytes.len);
    r->next = who->records;
    r->number = notary->record_count + 1;
    buf_fini(&bytes);
    if (notary->record_count == notary->record_cap) {
        notary->record_cap = notary->record_cap ? 2 * notary->record_cap : 256;
        notary->record = must(realloc(notary->record, notary->record_cap * sizeof *notary->record));
    }
    notary->record[notary->record_count++] = r;
    return who->records = r;
}

static bool is_same_count(const struct record_count *a, const struct record_count *b)
{
    return a->requests == b->requests && a->errors == b->errors && a->denied == b->denied &&
           a->p99_us == b->p99_us;
}

static bool is_same_policy(const struct signed_policy *a, const struct signed_policy *b)
{
    const struct record_rollout *x = &a->rollout, *y = &b->rollout;
    return a->epoch == b->epoch && a->version == b->version && hash_eq(&a->hash, &b->hash) &&
           x->epoch == y->epoch && x->version == y->version && x->halted == y->halted &&
           is_same_count(&x->before, &y->before) && is_same_count(&x->after, &y->after);
}

static bool says(const struct signed_record *r, const struct signed_words *words)
{
    const struct signed_words *w = &r->words;
    return w->protocol == words->protocol && w->layout == words->layout &&
           memcmp(&w->coordinate, &words->coordinate, sizeof w->coordinate) == 0 &&
           is_same_policy(&w->policy, &words->policy);
}

/* From memory, if any run has signed it before. */
static const struct signed_record *signed_like(const struct signed_record *like)
{
    struct signed_record *r = notary->identity[like->owner].records;
    while (r &&
           (r->incarnation != like->incarnation || r->version != like->version || r->left != like->left ||
            r->door != like->door || r->is_twin != like->is_twin || !says(r, &like->words)))
        r = r->next;
    return r ? r : sign(like);
}

const struct signed_record *signer_sign(struct signer *s, uint32_t host, uint64_t incarnation,
                                        uint64_t version, bool left, uint8_t door,
                                        const struct signed_words *words_or_null)
{
    struct highest *h = &s->highest[host];
    if (incarnation < h->incarnation || (incarnation == h->incarnation && version <= h->version))
        return NULL;
    *h = (struct highest){incarnation, version, left};
    const struct signed_record like = {.owner = host,
                                       .incarnation = incarnation,
                                       .version = version,
                                       .left = left,
                                       .door = door,
                                       .words = words_or_null ? *words_or_null : plain};
    const struct signed_record *r = signed_like(&like);
    remember(s, r);
    return r;
}

const struct signed_record *signer_twin(struct signer *s, const struct signed_record *first)
{
    struct signed_record like = *first;
    like.is_twin = !first->is_twin;
    const struct signed_record *r = signed_like(&like);
    remember(s, r);
    return r;
}

size_t signer_count(const struct signer *s)
{
    return s->record_count;
}

const struct signed_record *signer_numbered(uint32_t number)
{
    return number > 0 ? notary->record[number - 1] : NULL;
}

const struct signed_record *signer_get(const struct signer *s, size_t i)
{
    return s->record[i];
}

/* ---- verdicts ---- */

static struct verdict *verdict_slot(struct verdict *table, size_t slots, uint64_t quick, struct bytes b)
{
    size_t i = (quick >> 20) & (slots - 1);
    for (; table[i].quick; i = (i + 1) & (slots - 1))
        if (table[i].quick == quick && table[i].bytes.len == b.len &&
            memcmp(table[i].bytes.at, b.at, b.len) == 0)
            break;
    return &table[i];
}

static void grow_verdicts(struct notary *n)
{
    if (n->verdicts >= VERDICTS_MAX)
        forget_verdicts(n);
    size_t slots = n->verdict_slots ? 2 * n->verdict_slots : 1024;
    struct verdict *table = must(calloc(slots, sizeof *table));
    for (size_t i = 0; i < n->verdict_slots; i++)
        if (n->verdict[i].quick)
            *verdict_slot(table, slots, n->verdict[i].quick, n->verdict[i].bytes) = n->verdict[i];
    free(n->verdict);
    n->verdict = table;
    n->verdict_slots = slots;
}

static enum err judge(struct bytes record, struct gossip_claim *out)
{
    struct record r;
    enum err e = trust_cache_record(notary->trust, record, start_of_time, &r);
    if (e)
        return e;
    out->id = r.credential.id;
    out->incarnation = r.incarnation;
    out->version = r.version;
    out->left = r.left;
    out->protocol_max = (uint8_t)r.protocol_max;
    memcpy(out->coordinate.b, r.coordinate, sizeof r.coordinate);
    out->addr_count = (uint8_t)r.addr_count;
    memcpy(out->addr, r.addr, r.addr_count * sizeof r.addr[0]);
    return ERR_OK;
}

static const struct verdict *verdict_of(struct bytes record)
{
    static_assert((int)RECORD_ADDRS_MAX == (int)GOSSIP_ADDRS_MAX, "one list of addresses");
    if (2 * notary->verdicts >= notary->verdict_slots)
        grow_verdicts(notary);
    uint64_t quick = quick_hash(0, record) | 1;
    struct verdict *v = verdict_slot(notary->verdict, notary->verdict_slots, quick, record);
    if (v->quick)
        return v;
    uint8_t *copy = must(malloc(record.len + 1));
    memcpy(copy, record.at, record.len);
    *v = (struct verdict){.quick = quick, .bytes = bytes_of(copy, record.len), .claim.hash = hash_of(record)};
    v->err = judge(record, &v->claim);
    notary->verdicts++;
    return v;
}

enum err signer_verify(struct signer *s, struct bytes record, struct gossip_claim *out)
{
    (void)s;
    const struct verdict *v = verdict_of(record);
    if (v->err == ERR_OK)
        *out = v->claim;
    return v->err;
}

const struct signed_record *signer_find_bytes(const struct signer *s, struct bytes record)
{
    return signer_find(s, &verdict_of(record)->claim.hash);
}

/* ---- forgeries ---- */

void signer_forge(struct signer *s, uint32_t victim, uint32_t liar, uint64_t incarnation, bool left,
                  struct buf *out)
{
    /* At the liar's address: what the forger of a record wants is the victim's traffic (memberlist#370). */
    (void)s;
    const struct draft d = {signer_addr(liar, 0), incarnation, 1, left, false, plain};
    make_record(&notary->identity[victim], &d, &notary->identity[liar].key, out);
}

void signer_forge_outsider(struct signer *s, uint64_t incarnation, struct buf *out)
{
    (void)s;
    const struct identity *outsider = &notary->outsider;
    const struct draft d = {signer_addr(0, 0), incarnation, 1, false, false, plain};
    make_record(outsider, &d, &outsider->key, out);
}
