#include "gossip/coordinate.h"

#include <assert.h>
#include <math.h>

enum {
    ONE = 65536,             /* an error of 100 % */
    ERROR_MAX = ONE * 3 / 2, /* Serf's VivaldiErrorMax, 1.5: also where one begins */
    ERROR_FLOOR =
        ONE / 20,      /* nobody is taken to be surer than that (ADVERSARY G22: a liar's error is zero) */
    ERROR_STEPS = 254, /* of what travels */
    ERROR_GAIN = 4,    /* Vivaldi's c_e is 1/4 */
    MOVE_GAIN = 2,     /* its c_c is 1/4; with our few and filtered samples 1/2 is nearer, sooner */
    HEIGHT_MIN = 10 * 1000, /* Serf's HeightMin, 10 us */
    AT_MAX = INT16_MAX * COORDINATE_UNIT_NS,
    HEIGHT_MAX = UINT16_MAX * COORDINATE_UNIT_NS,
    OFF_MAX = 100 * 1000000, /* in the window of the adjustment */
    NEAR_NS = 1000,          /* closer than that is the same place */
    USUAL_TIMES = 3,
    USUAL_SLACK_NS = 100 * 1000,
    SETTLED_ERROR = ONE / 4,
    MATERIAL_NS = 250 * 1000,
    MATERIAL_SHARE = 8,
};
/* Serf's GravityRho: the pull is (distance / 150 s)^2 seconds. */
static const int64_t gravity = (int64_t)150 * 150 * 1000000000;
static_assert(GOSSIP_COORDINATE_BYTES == 2 * COORDINATE_DIMS + 2 + 1, "places, height, error");
static_assert((int64_t)UINT16_MAX * COORDINATE_UNIT_NS < INT32_MAX, "fits");

/* Arithmetic. */

/* Below 2^62. The square root of IEEE 754 is rounded correctly everywhere, and what that leaves off is put right. */
static uint64_t root(uint64_t v)
{
    uint64_t r = (uint64_t)(int64_t)sqrt((double)(int64_t)v);
    r -= r * r > v;
    return r + ((r + 1) * (r + 1) <= v);
}

static int64_t clamp(int64_t v, int64_t least, int64_t most)
{
    return v < least ? least : v > most ? most : v;
}

static int64_t length(const int64_t v[COORDINATE_DIMS])
{
    uint64_t sum = 0;
    for (int i = 0; i < COORDINATE_DIMS; i++)
        sum += (uint64_t)(v[i] * v[i]); /* at most 4 * (2^29.1)^2 */
    return (int64_t)root(sum);
}

/* By rank, for which of so few is how much smaller is chance: sorting them would be a guess at every step. */
static uint32_t median(const uint32_t *list, uint32_t count)
{
    uint32_t rank = (count - 1) / 2;
    assert(count > 0 && count <= COORDINATE_USUAL);
    for (uint32_t i = 0;; i++) {
        uint32_t less = 0, more = 0;
        for (uint32_t k = 0; k < count; k++) {
            less += list[k] < list[i];
            more += list[k] > list[i];
        }
        if (less <= rank && more < count - rank)
            return list[i]; /* there is always one */
    }
}

/* As it travels:  DIMS * (be16, two's complement, 8 us) | be16 height, 8 us | u8 error
 *                 error: 1 + 254ths of 150 %; 0: none, and then all is zeros */

static void encode(struct gossip_coordinate *out, const struct place *p)
{
    for (int i = 0; i < COORDINATE_DIMS; i++)
        store_be16(out->b + 2 * i, (uint16_t)(int16_t)(p->at[i] / COORDINATE_UNIT_NS));
    store_be16(out->b + 2 * COORDINATE_DIMS, (uint16_t)(p->height / COORDINATE_UNIT_NS));
    out->b[GOSSIP_COORDINATE_BYTES - 1] = (uint8_t)(1 + (uint64_t)p->error * ERROR_STEPS / ERROR_MAX);
}

/* False: no place. */
static bool decode(struct place *out, const struct gossip_coordinate *in)
{
    uint8_t error = in->b[GOSSIP_COORDINATE_BYTES - 1];
    if (error == 0)
        return false;
    for (int i = 0; i < COORDINATE_DIMS; i++)
        out->at[i] = (int16_t)load_be16(in->b + 2 * i) * COORDINATE_UNIT_NS;
    out->height = load_be16(in->b + 2 * COORDINATE_DIMS) * COORDINATE_UNIT_NS;
    out->error = (uint32_t)(error - 1) * ERROR_MAX / ERROR_STEPS;
    return true;
}

static int64_t between(const struct place *a, const struct place *b, int64_t way[COORDINATE_DIMS])
{
    for (int i = 0; i < COORDINATE_DIMS; i++)
        way[i] = (int64_t)a->at[i] - b->at[i];
    return length(way);
}

uint32_t coordinate_rtt_us(const struct gossip_coordinate *a, const struct gossip_coordinate *b)
{
    struct place from, to;
    int64_t way[COORDINATE_DIMS];
    if (!decode(&from, a) || !decode(&to, b))
        return 0;
    int64_t us = (between(&from, &to, way) + from.height + to.height) / 1000;
    return us > 0 ? (uint32_t)us : 1;
}

/* Heights and the adjustment are both added to every distance, so one number says both. */
struct gossip_coordinate coordinate_say(const struct coordinate *c)
{
    struct gossip_coordinate out = {{0}};
    struct place p = c->own;
    if (c->samples == 0)
        return out;
    p.height = (int32_t)clamp((int64_t)p.height + c->adjustment, 0, HEIGHT_MAX);
    encode(&out, &p);
    return out;
}

/* Neighbours. */

const struct neighbour *coordinate_neighbour(const struct coordinate *c, uint64_t who)
{
    for (int i = 0; i < COORDINATE_NEIGHBOURS; i++)
        if (c->neighbour[i].who == who && c->neighbour[i].count > 0)
            return &c->neighbour[i];
    return NULL;
}

uint32_t neighbour_rtt_us(const struct neighbour *n)
{
    return median(n->us, n->count);
}

static struct neighbour *keep_neighbour(struct coordinate *c, uint64_t who)
{
    struct neighbour *oldest = &c->neighbour[0];
    for (int i = 0; i < COORDINATE_NEIGHBOURS; i++) {
        struct neighbour *n = &c->neighbour[i];
        if (n->count > 0 && n->who == who)
            return n;
        if (n->count == 0 || (oldest->count > 0 && c->samples - n->heard > c->samples - oldest->heard))
            oldest = n;
    }
    *oldest = (struct neighbour){.who = who};
    return oldest;
}

static void note_rtt(struct neighbour *n, const struct gossip_coordinate *theirs, uint32_t rtt_us,
                     uint32_t heard)
{
    n->us[n->next] = rtt_us;
    n->next = (uint8_t)((n->next + 1) % COORDINATE_FILTER);
    n->count += n->count < COORDINATE_FILTER;
    n->heard = heard;
    n->theirs = *theirs;
}

/* The spring. */

void coordinate_init(struct coordinate *c, uint64_t seed)
{
    *c = (struct coordinate){.own = {.height = HEIGHT_MIN, .error = ERROR_MAX}, .rng = rng_seeded(seed)};
}

/* What a sample may ask for: nobody's counts for much more than everybody's. */
static int64_t usual(const struct coordinate *c)
{
    uint32_t count = c->samples < COORDINATE_USUAL ? c->samples : COORDINATE_USUAL;
    if (count < COORDINATE_USUAL / 2)
        return INT64_MAX;
    return (int64_t)USUAL_TIMES * median(c->asked, count) + USUAL_SLACK_NS;
}

/* Vivaldi, figure 3: its own error moves towards that of the sample. `off` and `weight` as below. */
static void learn_error(struct place *own, int64_t off, int64_t rtt, int64_t weight)
{
    int64_t sample = clamp((off < 0 ? -off : off) * ONE / rtt, 0, ERROR_MAX);
    int64_t error = own->error + (sample - own->error) * weight / ONE / ERROR_GAIN;
    own->error = (uint32_t)clamp(error, 1, ERROR_MAX);
}

/* Two in one place part in any direction. */
static int64_t any_way(struct coordinate *c, int64_t way[COORDINATE_DIMS])
{
    for (int i = 0; i < COORDINATE_DIMS; i++)
        way[i] = (int64_t)rng_below(&c->rng, 2 * NEAR_NS) - NEAR_NS;
    way[0] += way[0] == 0;
    return length(way) + 1;
}

/* Along the spring: of its length, `planar` lies in the plane and the rest in the two heights. */
static void move_by(struct coordinate *c, int64_t force, int64_t way[COORDINATE_DIMS], int64_t planar,
                    int64_t heights)
{
    struct place *own = &c->own;
    if (planar < NEAR_NS) { /* heights would take it all, and keep it */
        planar = any_way(c, way);
        heights = 0;
    }
    for (int i = 0; i < COORDINATE_DIMS; i++)
        own->at[i] = (int32_t)clamp(own->at[i] + force * way[i] / planar, -AT_MAX, AT_MAX);
    int64_t up = heights < planar ? force * heights / planar : force;
    own->height = (int32_t)clamp(own->height + up, HEIGHT_MIN, HEIGHT_MAX);
}

static void fall(struct place *own)
{
    int64_t from_origin[COORDINATE_DIMS];
    for (int i = 0; i < COORDINATE_DIMS; i++)
        from_origin[i] = own->at[i];
    int64_t far = length(from_origin), pull = far * far / gravity;
    for (int i = 0; i < COORDINATE_DIMS && far > 0; i++)
        own->at[i] -= (int32_t)(from_origin[i] * pull / far);
}

/* Serf: half of what places leave unexplained, in the mean over the last samples. */
static void adjust(struct coordinate *c, int64_t off)
{
    int64_t sum = 0;
    c->off[c->off_next] = (int32_t)clamp(off, -OFF_MAX, OFF_MAX);
    c->off_next = (uint8_t)((c->off_next + 1) % COORDINATE_WINDOW);
    c->off_count += c->off_count < COORDINATE_WINDOW;
    for (int i = 0; i < c->off_count; i++)
        sum += c->off[i];
    c->adjustment = (int32_t)(sum / (2 * COORDINATE_WINDOW));
}

static void pull(struct coordinate *c, const struct place *theirs, int64_t rtt)
{
    int64_t way[COORDINATE_DIMS], planar = between(&c->own, theirs, way);
    int64_t heights = (int64_t)c->own.height + theirs->height, raw = rtt - planar - heights;
    int64_t off = raw - c->adjustment, most = usual(c);
    int64_t weight = (int64_t)c->own.error * ONE / (c->own.error + theirs->error);
    uint32_t slot = c->samples % COORDINATE_USUAL;
    c->asked[slot] = (uint32_t)clamp(off < 0 ? -off : off, 0, UINT32_MAX);
    c->rtt[slot] = (uint32_t)rtt;
    off = clamp(off, -most, most);
    learn_error(&c->own, off, rtt, weight);
    int64_t force = clamp(off * weight / ONE / MOVE_GAIN, -COORDINATE_MOVE_MAX_NS, COORDINATE_MOVE_MAX_NS);
    move_by(c, force, way, planar, heights);
    fall(&c->own);
    adjust(c, clamp(raw, -most, most));
    c->samples++;
}

void coordinate_sample(struct coordinate *c, uint64_t who, const struct gossip_coordinate *theirs,
                       uint32_t rtt_us)
{
    struct place them;
    if (rtt_us > COORDINATE_RTT_MAX_US)
        return;
    struct neighbour *n = keep_neighbour(c, who);
    note_rtt(n, theirs, rtt_us > 0 ? rtt_us : 1, c->samples);
    if (!decode(&them, theirs)) { /* it has no place yet: it is where we all began */
        them = (struct place){.height = HEIGHT_MIN, .error = ERROR_MAX};
    }
    them.error = them.error < ERROR_FLOOR ? ERROR_FLOOR : them.error;
    pull(c, &them, (int64_t)neighbour_rtt_us(n) * 1000);
}

/* Publishing. */

static uint64_t spacing_ms(uint32_t members)
{
    uint64_t each = (uint64_t)members * PACE_MEMBER_MS;
    uint64_t ms = members * (each < PACE_MEMBER_MAX_MS ? each : PACE_MEMBER_MAX_MS);
    return ms < PACE_MIN_MS ? PACE_MIN_MS : ms;
}

void coordinate_said(struct coordinate_pace *p, const struct gossip_coordinate *said, uint64_t chance,
                     mono_ms now)
{
    p->is_later = p->is_later || said->b[GOSSIP_COORDINATE_BYTES - 1] > 0;
    p->said = *said;
    p->said_at = now;
    p->phase = (uint16_t)chance;
}

/* Has anything changed that is worth telling? */
static bool is_material(const struct coordinate_pace *p, const struct coordinate *c)
{
    struct gossip_coordinate is = coordinate_say(c);
    struct place was, now;
    int64_t way[COORDINATE_DIMS];
    if (c->samples < PACE_SURE_SAMPLES || !decode(&now, &is))
        return false;
    if (!decode(&was, &p->said))
        return c->own.error < SETTLED_ERROR || c->samples >= PACE_SAMPLES;
    int64_t higher = (int64_t)now.height - was.height, moved = between(&now, &was, way);
    moved += higher < 0 ? -higher : higher;
    return moved >= MATERIAL_NS && moved >= median(c->rtt, COORDINATE_USUAL) / MATERIAL_SHARE;
}

bool coordinate_is_due(const struct coordinate_pace *p, const struct coordinate *c, uint32_t members,
                       mono_ms now)
{
    uint64_t spacing = spacing_ms(members), wait = spacing * p->phase / ONE;
    wait += p->is_later ? spacing / 2 : 0;
    return now >= p->said_at + wait && is_material(p, c);
}
