/* See rate.h. */
#include "link/rate.h"

#include "noise/prim.h"

void rate_init(struct rate *r, mono_ms now)
{
    memset(r, 0, sizeof *r);
    prim_random(r->secret, sizeof r->secret);
    r->made_at = now;
}

static uint64_t key_of(const struct rate *r, const struct addr *from, bool is_proven)
{
    uint8_t name[19] = {[18] = is_proven}, mac[PRIM_MAC_BYTES];
    memcpy(name, from->ip, addr_is_v4(from) || addr_is_loopback(from) ? 16 : 8);
    if (addr_is_loopback(from))
        store_be16(name + 16, from->port);
    prim_mac(mac, r->secret, bytes_of(name, sizeof name), bytes_of(NULL, 0));
    return load_be64(mac) | 1;
}

static struct rate_source *find(struct rate *r, uint64_t key, uint32_t now)
{
    struct rate_source *set = r->source[key >> 32 & (RATE_SETS - 1)], *oldest = set;
    for (int i = 0; i < RATE_WAYS; i++) {
        if (set[i].key == key)
            return &set[i];
        if (oldest->key != 0 && (set[i].key == 0 || now - set[i].seen_at > now - oldest->seen_at))
            oldest = &set[i];
    }
    *oldest = (struct rate_source){.key = key, .seen_at = now, .left_thousandths = RATE_BURST * 1000};
    return oldest;
}

bool rate_allow(struct rate *r, const struct addr *from, bool is_proven, mono_ms now)
{
    uint32_t at = (uint32_t)(now - r->made_at);
    struct rate_source *s = find(r, key_of(r, from, is_proven), at);
    uint64_t left = s->left_thousandths + (uint64_t)(at - s->seen_at) * RATE_PER_S;
    if (left > RATE_BURST * 1000)
        left = RATE_BURST * 1000;
    s->seen_at = at;
    s->left_thousandths = (uint32_t)left;
    if (left < 1000)
        return false;
    s->left_thousandths -= 1000;
    return true;
}

bool rate_total_allow(struct rate_total *t, uint32_t per_s, mono_ms now)
{
    uint64_t earned = (now - t->at) * per_s / 1000;
    if (earned > 0) {
        t->left = t->left + earned > per_s ? per_s : t->left + (uint32_t)earned;
        t->at = now;
    }
    if (t->left == 0)
        return false;
    t->left--;
    return true;
}
