#include "control/own.h"

#include "link/link.h"
#include "noise/noise.h"

enum err own_init(struct own *o, struct store *s)
{
    uint64_t stored = 0;
    enum err e = store_number_get(s, "incarnation", &stored);
    *o = (struct own){.incarnation = stored ? stored + GOSSIP_START_LEAP : 1};
    o->reserved = o->asked = stored + OWN_INCARNATIONS_AHEAD;
    return e != ERR_OK ? e : store_number_raise(s, "incarnation", o->reserved);
}

static enum err reserve(struct own *o, struct store *s, uint64_t up_to, uint64_t ticket)
{
    if (o->asked != o->reserved || up_to <= o->reserved)
        return ERR_OK; /* one request at a time */
    enum err e = store_number_raise_queued(s, "incarnation", up_to, ticket);
    if (e == ERR_OK)
        o->asked = up_to;
    return e;
}

enum err own_raise(struct own *o, struct store *s, uint64_t at_least, uint64_t ticket)
{
    uint64_t next = at_least > o->incarnation ? at_least : o->incarnation + 1;
    if (next > UINT64_MAX - 2 * OWN_INCARNATIONS_AHEAD)
        return ERR_LIMIT; /* only a thief of our own key could have driven it there; the bundle revokes it */
    bool durable = next <= o->reserved;
    enum err e = ERR_OK;
    if (next + OWN_INCARNATIONS_AHEAD / 2 > o->reserved)
        e = reserve(o, s, next + OWN_INCARNATIONS_AHEAD, ticket);
    if (!durable) {
        o->wanted = next;
        return e == ERR_OK ? ERR_AGAIN : e;
    }
    o->incarnation = next;
    o->version = 0;
    o->wanted = 0;
    return ERR_OK;
}

void own_confirmed(struct own *o, enum err outcome)
{
    if (outcome == ERR_OK)
        o->reserved = o->asked;
    else
        o->asked = o->reserved;
}

static void fill_service(struct record_service *out, const struct config_service *s, bool healthy)
{
    *out = (struct record_service){
        .name = bytes_str(s->name), .port = s->app.port, .protocol = s->protocol, .healthy = healthy};
    out->labels.count = s->label_count;
    for (size_t i = 0; i < s->label_count; i++)
        out->labels.at[i] = (struct label){bytes_str(s->label[i].key), bytes_str(s->label[i].value)};
}

enum err own_sign(struct own *o, const struct config *config, const struct identity *id, struct buf *out)
{
    struct record r = {
        .credential = id->credential_open,
        .incarnation = o->incarnation,
        .version = o->version + 1,
        .left = o->left,
        .draining = o->draining,
        .addr_count = config->advertise_count,
        .features = noise_cipher_is_available(NOISE_AESGCM) ? FEATURE_AESGCM : 0,
        .protocol_min = GOSSIP_PROTOCOL_MIN,
        .protocol_max = GOSSIP_PROTOCOL_MAX,
        .link_min = LINK_VERSION_OLDEST,
        .link_max = LINK_VERSION_NEWEST,
        .layout = o->layout,
        .root_epoch = trust_root(id->trust)->epoch,
        .policy_epoch = o->policy_epoch,
        .policy_version = o->policy_version,
        .policy_hash = o->policy_hash,
        .rollout = o->rollout,
        .overlay = o->overlay,
        .parts_sum = o->parts_sum,
        .parts_hash = o->parts_hash,
        .failed = {o->failed.epoch, o->failed.version, bytes_str(o->failed.reason),
                   bytes_str(o->failed.what)},
        .service_count = config->service_count,
    };
    memcpy(r.coordinate, o->coordinate.b, sizeof r.coordinate);
    for (size_t i = 0; i < config->advertise_count; i++)
        r.addr[i] = config->advertise[i];
    /* Without a policy everything is denied here: a host that has just joined is sent nobody until it has one. */
    bool has_policy = o->policy_version > 0;
    for (size_t i = 0; i < config->service_count; i++)
        fill_service(&r.service[i], &config->service[i], has_policy && o->healthy[i]);
    enum err e = record_create(out, &r, &id->sign);
    if (e == ERR_OK)
        o->version++;
    return e;
}
