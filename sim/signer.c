#include "sim/signer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/rng.h"
#include "trust/trust.h"

enum { PORT = 7400, DAY_S = 86400 };
static const wall_s start_of_time =
    1767225600; /* 2026-01-01: the wall clock of the simulated mesh stands still */
static const char mesh_name[] = "sim.example";

struct identity {
    struct sign_key key;
    struct buf credential;
};

struct verdict {
    bool is_used;
    enum err err;
    struct gossip_claim claim; /* claim.hash is the key, also of what was refused */
};

struct slot { /* of the table of signed records, by hash */
    struct signed_record *record;
};

struct signer {
    uint32_t hosts;
    struct trust *trust;
    struct identity *identity; /* [hosts], then the outsider's */
    uint32_t *host_by_id;      /* host + 1, open addressing */
    size_t id_slots;
    struct signed_record **record;
    size_t record_count, record_cap;
    struct slot *by_hash;
    size_t hash_slots;
    struct verdict *verdict;
    size_t verdict_count, verdict_slots;
};

static void *must(void *p)
{
    if (!p)
        abort(); /* a simulation that is out of memory has no result */
    return p;
}

static void must_ok(enum err e)
{
    if (e)
        abort(); /* keys and names are ours: a refusal is a bug here */
}

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
        size_t i = id_slot(s, &s->identity[h].key.pub);
        while (s->host_by_id[i])
            i = (i + 1) & (s->id_slots - 1);
        s->host_by_id[i] = h + 1;
    }
}

const struct node_id *signer_id(const struct signer *s, uint32_t host)
{
    return &s->identity[host].key.pub;
}

const struct node_id *signer_outsider_id(const struct signer *s)
{
    return &s->identity[s->hosts].key.pub;
}

uint32_t signer_host_of(const struct signer *s, const struct node_id *id)
{
    for (size_t i = id_slot(s, id); s->host_by_id[i]; i = (i + 1) & (s->id_slots - 1))
        if (node_id_eq(id, &s->identity[s->host_by_id[i] - 1].key.pub))
            return s->host_by_id[i] - 1;
    return UINT32_MAX;
}

/* 10.0.0.1 and onwards. */
struct addr signer_addr(uint32_t host)
{
    struct addr a = {.ip = {[10] = 0xff, [11] = 0xff}, .port = PORT};
    store_be32(a.ip + 12, 0x0a000001u + host);
    return a;
}

uint32_t signer_host_at(const struct signer *s, const struct addr *a)
{
    uint32_t host = load_be32(a->ip + 12) - 0x0a000001u;
    return addr_is_v4(a) && a->port == PORT && host < s->hosts ? host : UINT32_MAX;
}

struct signer *signer_new(uint32_t hosts, uint64_t seed)
{
    struct rng r = rng_seeded(seed ^ 0x5157u);
    struct sign_key enrol, other_enrol;
    struct buf root = {0}, other_root = {0};
    must_ok(trust_init());
    struct signer *s = must(calloc(1, sizeof *s));
    s->hosts = hosts;
    s->identity = must(calloc(hosts + 1u, sizeof *s->identity));
    make_root(&r, &root, &enrol);
    make_root(&r, &other_root, &other_enrol);
    for (uint32_t h = 0; h < hosts; h++) {
        char name[24];
        snprintf(name, sizeof name, "host-%u", h);
        make_identity(&r, &s->identity[h], name, &enrol);
    }
    make_identity(&r, &s->identity[hosts], "outsider", &other_enrol);
    must_ok(trust_new(&s->trust, buf_bytes(&root)));
    buf_fini(&root);
    buf_fini(&other_root);
    index_ids(s);
    return s;
}

void signer_free(struct signer *s)
{
    if (!s)
        return;
    for (uint32_t h = 0; h <= s->hosts; h++)
        buf_fini(&s->identity[h].credential);
    for (size_t i = 0; i < s->record_count; i++)
        free(s->record[i]);
    trust_free(s->trust);
    free(s->identity);
    free(s->host_by_id);
    free(s->record);
    free(s->by_hash);
    free(s->verdict);
    free(s);
}

/* ---- records ---- */

static void make_record(const struct identity *owner, uint32_t addr_host, uint64_t incarnation,
                        uint64_t version, bool left, const struct sign_key *by, struct buf *out)
{
    struct record r = {.incarnation = incarnation,
                       .version = version,
                       .left = left,
                       .addr_count = 1,
                       .addr = {signer_addr(addr_host)},
                       .service_count = 1};
    r.credential.bytes = buf_bytes(&owner->credential);
    r.service[0] = (struct record_service){
        .name = bytes_str("web"), .port = 8080, .protocol = PROTOCOL_HTTP, .healthy = true};
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
    for (size_t i = hash_slot(hash, s->hash_slots); s->by_hash[i].record; i = (i + 1) & (s->hash_slots - 1))
        if (hash_eq(hash, &s->by_hash[i].record->hash))
            return s->by_hash[i].record;
    return NULL;
}

static void place(struct signer *s, struct signed_record *r)
{
    size_t i = hash_slot(&r->hash, s->hash_slots);
    while (s->by_hash[i].record)
        i = (i + 1) & (s->hash_slots - 1);
    s->by_hash[i].record = r;
}

static void remember(struct signer *s, struct signed_record *r)
{
    if (s->record_count == s->record_cap) {
        s->record_cap = s->record_cap ? 2 * s->record_cap : 256;
        s->record = must(realloc(s->record, s->record_cap * sizeof(struct signed_record *)));
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

static bool was_signed_before(const struct signer *s, const struct signed_record *r)
{
    for (size_t i = 0; i < s->record_count; i++) {
        const struct signed_record *x = s->record[i];
        if (x->owner == r->owner && x->incarnation == r->incarnation && x->version == r->version)
            return true;
    }
    return false;
}

const struct signed_record *signer_sign(struct signer *s, uint32_t host, uint64_t incarnation,
                                        uint64_t version, bool left)
{
    struct buf bytes = {0};
    const struct identity *who = &s->identity[host];
    make_record(who, host, incarnation, version, left, &who->key, &bytes);
    struct signed_record *r = must(malloc(sizeof *r + bytes.len));
    memcpy(r + 1, bytes.at, bytes.len);
    *r = (struct signed_record){.hash = hash_of(buf_bytes(&bytes)),
                                .owner = host,
                                .incarnation = incarnation,
                                .version = version,
                                .left = left,
                                .bytes = bytes_of(r + 1, bytes.len)};
    buf_fini(&bytes);
    if (was_signed_before(s, r)) {
        free(r);
        return NULL;
    }
    remember(s, r);
    return r;
}

size_t signer_count(const struct signer *s)
{
    return s->record_count;
}

const struct signed_record *signer_get(const struct signer *s, size_t i)
{
    return s->record[i];
}

/* ---- verdicts ---- */

static struct verdict *verdict_slot(struct verdict *table, size_t slots, const struct hash *h)
{
    size_t i = hash_slot(h, slots);
    while (table[i].is_used && !hash_eq(h, &table[i].claim.hash))
        i = (i + 1) & (slots - 1);
    return &table[i];
}

static void grow_verdicts(struct signer *s)
{
    size_t slots = s->verdict_slots ? 2 * s->verdict_slots : 1024;
    struct verdict *table = must(calloc(slots, sizeof *table));
    for (size_t i = 0; i < s->verdict_slots; i++)
        if (s->verdict[i].is_used)
            *verdict_slot(table, slots, &s->verdict[i].claim.hash) = s->verdict[i];
    free(s->verdict);
    s->verdict = table;
    s->verdict_slots = slots;
}

static enum err judge(struct signer *s, struct bytes record, struct gossip_claim *out)
{
    struct record r;
    enum err e = trust_record(s->trust, record, start_of_time, &r);
    if (e)
        return e;
    out->id = r.credential.id;
    out->incarnation = r.incarnation;
    out->version = r.version;
    out->left = r.left;
    out->addr_count = (uint8_t)r.addr_count;
    memcpy(out->addr, r.addr, r.addr_count * sizeof r.addr[0]);
    return ERR_OK;
}

enum err signer_verify(struct signer *s, struct bytes record, struct gossip_claim *out)
{
    static_assert((int)RECORD_ADDRS_MAX == (int)GOSSIP_ADDRS_MAX, "one list of addresses");
    struct hash hash = hash_of(record);
    if (2 * s->verdict_count >= s->verdict_slots)
        grow_verdicts(s);
    struct verdict *v = verdict_slot(s->verdict, s->verdict_slots, &hash);
    if (!v->is_used) {
        *v = (struct verdict){.is_used = true, .claim.hash = hash};
        v->err = judge(s, record, &v->claim);
        s->verdict_count++;
    }
    if (v->err == ERR_OK)
        *out = v->claim;
    return v->err;
}

/* ---- forgeries ---- */

void signer_forge(struct signer *s, uint32_t victim, uint32_t liar, uint64_t incarnation, bool left,
                  struct buf *out)
{
    /* At the liar's address: what the forger of a record wants is the victim's traffic (memberlist#370). */
    make_record(&s->identity[victim], liar, incarnation, 1, left, &s->identity[liar].key, out);
}

void signer_forge_outsider(struct signer *s, uint64_t incarnation, struct buf *out)
{
    const struct identity *outsider = &s->identity[s->hosts];
    make_record(outsider, 0, incarnation, 1, false, &outsider->key, out);
}
