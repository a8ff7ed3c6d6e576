#include "policy/rollout.h"

#include "policy/compiled.h"
#include "policy/words.h"

#include <assert.h>
#include <stdlib.h>

enum {
    PPM = 1000000,
    PLACE_BITS = 32,
    OUTSIDE_OF = 4,  /* a quarter at either end of what is reported does not count, nor who does not follow */
    WEIGHT_MAX = 2,  /* nobody's requests count for more than this many medians */
    CHANCE = 4,      /* standard deviations */
    LIGHT_PART = 64, /* who has seen less than this part of minRequests has nothing to report */
    REPORT_PART = 4, /* a report changes at most so often in one pause */
    REPORT_MIN_MS = 1000, /* ... and never more often than this, nor need it be rarer than this: */
    REPORT_MAX_MS = 60000,
    LOOKS_PER_PAUSE = 20,
    LOOK_MIN_MS = 250,
    LOOK_MAX_MS = 5000,
};

/* -- whose turn it is -------------------------------------------------------------------------- */

/* Uniform in 2^32, the same on every agent, and another for each version: not always the same hosts go first. */
static uint32_t place_of(const struct hash *version, const struct node_id *id)
{
    uint8_t both[HASH_BYTES + sizeof id->b];
    memcpy(both, version->b, HASH_BYTES);
    memcpy(both + HASH_BYTES, id->b, sizeof id->b);
    struct hash h = hash_of(bytes_of(both, sizeof both));
    return load_be32(h.b);
}

static bool step_takes(const struct policy_step *s, uint32_t place, const struct labels *labels)
{
    if (s->label.len == 0)
        return (uint64_t)place * PPM >> PLACE_BITS < s->share_ppm;
    for (size_t i = 0; i < labels->count; i++)
        if (bytes_eq(labels->at[i].key, s->label) && bytes_eq(labels->at[i].value, s->value))
            return true;
    return false;
}

uint64_t rollout_turn(const struct policy_rollout *rule, const struct hash *version, const struct node_id *id,
                      const struct labels *labels)
{
    uint32_t place = place_of(version, id);
    size_t step = 0;
    assert(rule->step_count > 0);
    while (step + 1 < rule->step_count && !step_takes(&rule->step[step], place, labels))
        step++; /* the last is everybody */
    return (uint64_t)step << PLACE_BITS | place;
}

static int by_turn(const void *a, const void *b)
{
    const struct rollout_member *x = a, *y = b;
    if (x->turn != y->turn)
        return x->turn < y->turn ? -1 : 1;
    return memcmp(x->id.b, y->id.b, sizeof x->id.b);
}

void rollout_sort(struct rollout_member *m, size_t count)
{
    if (count > 0)
        qsort(m, count, sizeof *m, by_turn);
}

bool rollout_reports(size_t i, size_t count)
{
    return i < ROLLOUT_REPORTERS_MAX / 2 || i + ROLLOUT_REPORTERS_MAX / 2 >= count;
}

mono_ms rollout_report_every(const struct policy_rollout *rule)
{
    mono_ms ms = rule->pause_ms / REPORT_PART;
    return ms < REPORT_MIN_MS ? REPORT_MIN_MS : ms > REPORT_MAX_MS ? REPORT_MAX_MS : ms;
}

mono_ms rollout_look_every(const struct policy_rollout *rule)
{
    mono_ms ms = rule->pause_ms / LOOKS_PER_PAUSE;
    return ms < LOOK_MIN_MS ? LOOK_MIN_MS : ms > LOOK_MAX_MS ? LOOK_MAX_MS : ms;
}

/* -- reports ----------------------------------------------------------------------------------- */

void rollout_take_record(struct rollout_member *out, const struct bundle_id *of,
                         const struct bundle_id *in_force, const struct record_rollout *said)
{
    bool is_version = in_force->version == of->version && in_force->epoch == of->epoch;
    out->is_new = is_version && hash_eq(&in_force->hash, &of->hash);
    out->has_report = said->version == of->version && said->epoch == of->epoch;
    out->says_halted = said->halted;
    if (is_version && !out->is_new) { /* its twin */
        out->has_report &= said->halted;
        return;
    }
    out->before = said->before;
    out->after = said->after;
}

static bool is_same(const struct record_count *a, const struct record_count *b)
{
    return a->requests == b->requests && a->errors == b->errors && a->denied == b->denied &&
           a->p99_us == b->p99_us;
}

static struct record_rollout report_of(const struct rollout *r, struct record_rollout counted, bool is_asked,
                                       struct record_rollout said)
{
    if (!r->halted)
        return is_asked ? counted : (struct record_rollout){.version = 0};
    if (said.version != counted.version || said.epoch != counted.epoch)
        said = (struct record_rollout){.epoch = counted.epoch, .version = counted.version};
    said.halted = true;
    return said;
}

bool rollout_report(const struct rollout *r, struct record_rollout counted, bool is_asked,
                    struct record_rollout *said, mono_ms *next_at, mono_ms now)
{
    struct record_rollout next = report_of(r, counted, is_asked, *said);
    bool is_mark = next.halted != said->halted || next.version != said->version || next.epoch != said->epoch;
    bool is_count = !is_same(&next.before, &said->before) || !is_same(&next.after, &said->after);
    if (!is_mark && !(is_count && now >= *next_at))
        return false;
    *said = next;
    *next_at = now + rollout_report_every(r->rule);
    return true;
}

/* -- comparing --------------------------------------------------------------------------------- */

/* How many of `n` members may be stuck, or lie, at one end. */
static size_t outside(size_t n)
{
    return n < ROLLOUT_QUORUM ? 0 : n < OUTSIDE_OF ? 1 : n / OUTSIDE_OF;
}

struct side {
    size_t count, trimmed; /* at either end */
    struct record_count of[ROLLOUT_REPORTERS_MAX];
};
enum measure { MEASURE_ERRORS, MEASURE_DENIED, MEASURE_P99, MEASURE_REQUESTS };

static uint64_t bad_of(const struct record_count *c, enum measure by)
{
    return by == MEASURE_ERRORS ? c->errors : c->denied;
}

/* Ratios by cross multiplication: counts are below 2^63, so 128 bits hold the product. */
static int cmp_by(const struct record_count *x, const struct record_count *y, enum measure by)
{
    unsigned __int128 a, b;
    if (by == MEASURE_P99 || by == MEASURE_REQUESTS) {
        a = by == MEASURE_P99 ? x->p99_us : x->requests;
        b = by == MEASURE_P99 ? y->p99_us : y->requests;
    } else {
        a = (unsigned __int128)bad_of(x, by) * y->requests;
        b = (unsigned __int128)bad_of(y, by) * x->requests;
    }
    return a < b ? -1 : a > b;
}

/* Insertion: at most 64 of them. */
static void side_sort(struct side *s, enum measure by)
{
    for (size_t i = 1; i < s->count; i++) {
        struct record_count c = s->of[i];
        size_t k = i;
        for (; k > 0 && cmp_by(&c, &s->of[k - 1], by) < 0; k--)
            s->of[k] = s->of[k - 1];
        s->of[k] = c;
    }
}

/* Asked, and says nothing: not yet, or no more, as those for whom the rollout is done. */
static bool is_silent(const struct rollout_member *m, bool after)
{
    return m->is_live && !m->has_report && (!after || m->is_new);
}

/* None with more weight than twice the median. */
static void side_level(struct side *s)
{
    side_sort(s, MEASURE_REQUESTS);
    uint64_t most = s->of[(s->count - 1) / 2].requests;
    most = most > UINT64_MAX / WEIGHT_MAX ? UINT64_MAX : most * WEIGHT_MAX;
    for (size_t i = 0; i < s->count; i++) {
        struct record_count *c = &s->of[i];
        if (c->requests <= most)
            continue;
        c->errors = (uint64_t)((unsigned __int128)c->errors * most / c->requests);
        c->denied = (uint64_t)((unsigned __int128)c->denied * most / c->requests);
        c->requests = most;
    }
}

/* Those who have seen something. A quarter of those who are asked may lie, also where the others are silent. */
static void side_gather(struct side *s, const struct rollout *r, const struct rollout_member *m, size_t count,
                        bool after, size_t steps)
{
    uint64_t least = r->rule->halt_min_requests / LIGHT_PART;
    size_t silent = 0;
    s->count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct record_count *c = after ? &m[i].after : &m[i].before;
        if (after && rollout_step_of(m[i].turn) >= steps)
            break; /* it is not his turn: he cannot know, whatever he says */
        if (!rollout_reports(i, count))
            continue;
        silent += is_silent(&m[i], after);
        if (m[i].has_report && c->requests > 0 && c->requests >= least)
            s->of[s->count++] = *c;
    }
    s->trimmed = outside(s->count + silent);
    if (s->count > 0)
        side_level(s);
}

/* What those in the middle have seen. */
struct middle {
    unsigned __int128 bad, all;
};

static struct middle side_middle(struct side *s, enum measure by)
{
    struct middle m = {0, 0};
    side_sort(s, by);
    for (size_t i = s->trimmed; i + s->trimmed < s->count; i++) {
        m.bad += bad_of(&s->of[i], by);
        m.all += s->of[i].requests;
    }
    return m;
}

static uint64_t side_p99(struct side *s)
{
    side_sort(s, MEASURE_P99);
    return s->of[s->count / 2].p99_us;
}

/* Beyond the limit, and beyond chance: a rate of p in n requests varies by sqrt(np), and it is looked at again and again. */
static bool has_risen(struct side *old, struct side *new, enum measure by, const struct policy_rollout *rule)
{
    uint32_t limit_ppm = by == MEASURE_ERRORS ? rule->halt_error_ppm : rule->halt_denied_ppm;
    struct middle before = side_middle(old, by), after = side_middle(new, by);
    if (limit_ppm == UINT32_MAX || before.all < rule->halt_min_requests ||
        after.all < rule->halt_min_requests || before.all == 0 || after.all == 0)
        return false;
    double expected = (double)after.all * ((double)before.bad / (double)before.all);
    double excess = (double)after.bad - expected;
    return excess > (double)after.all * limit_ppm / PPM && excess * excess > CHANCE * CHANCE * expected;
}

static bool is_slower(struct side *old, struct side *new, uint32_t limit_ppm)
{
    unsigned __int128 before = side_p99(old), after = side_p99(new);
    return limit_ppm != UINT32_MAX && after * PPM > before * ((uint64_t)PPM + limit_ppm);
}

static bool has_enough(struct side *s, const struct policy_rollout *rule)
{
    return s->count >= ROLLOUT_QUORUM && s->count > 2 * s->trimmed &&
           side_middle(s, MEASURE_ERRORS).all >= rule->halt_min_requests;
}

/* How many steps have been in force long enough that the honest have reported too: liars report at once. */
static size_t steps_to_judge(const struct rollout *r, mono_ms now)
{
    return r->at + (r->taken_at != NEVER && now - r->taken_at >= r->rule->pause_ms / 2);
}

static enum rollout_cause compare(struct rollout *r, const struct rollout_member *m, size_t count,
                                  mono_ms now)
{
    const struct policy_rollout *rule = r->rule;
    struct side old, new;
    side_gather(&old, r, m, count, false, 0);
    side_gather(&new, r, m, count, true, steps_to_judge(r, now));
    r->was_compared = has_enough(&old, rule) && has_enough(&new, rule);
    if (!r->was_compared)
        return ROLLOUT_NONE;
    if (has_risen(&old, &new, MEASURE_ERRORS, rule))
        return ROLLOUT_ERRORS;
    if (has_risen(&old, &new, MEASURE_DENIED, rule))
        return ROLLOUT_DENIED;
    return is_slower(&old, &new, rule->halt_p99_ppm) ? ROLLOUT_P99 : ROLLOUT_NONE;
}

/* -- steps ------------------------------------------------------------------------------------- */

struct tally {
    size_t live, new;
};

/* Of the members of steps `from` to `to`. */
static struct tally tally_of(const struct rollout_member *m, size_t count, size_t from, size_t to)
{
    struct tally t = {0, 0};
    for (size_t i = 0; i < count; i++) {
        size_t step = rollout_step_of(m[i].turn);
        if (m[i].is_live && step >= from && step <= to) {
            t.live++;
            t.new += m[i].is_new;
        }
    }
    return t;
}

static bool is_most(struct tally t)
{
    return t.new * 2 > t.live;
}

/* A later step that most of its own members, and most of all up to it, are in: the mesh is there, whatever we saw. Fewer than
 * a quorum may all lie, and would cut short the pause of those before. */
static void catch_up(struct rollout *r, const struct rollout_member *m, size_t count)
{
    for (size_t s = r->rule->step_count - 1; s > r->at; s--) {
        struct tally own = tally_of(m, count, s, s), all = tally_of(m, count, 0, s);
        if (own.new >= ROLLOUT_QUORUM && is_most(own) && is_most(all)) {
            r->at = s;
            r->taken_at = NEVER;
            return;
        }
    }
}

/* He would deny everything while he waited. */
static void follow_all(struct rollout *r, size_t new)
{
    if (!r->has_nothing || r->at >= r->own_step || new < ROLLOUT_QUORUM)
        return;
    r->at = r->own_step;
    r->taken_at = NEVER;
}

static void note_taken(struct rollout *r, const struct rollout_member *m, size_t count, mono_ms now)
{
    struct tally t = tally_of(m, count, 0, r->at);
    r->is_taken = t.new + outside(t.live) >= t.live;
    if (r->is_taken && r->taken_at == NEVER)
        r->taken_at = now;
}

static void advance(struct rollout *r, mono_ms now)
{
    if (!r->is_taken || now - r->taken_at < r->rule->pause_ms)
        return;
    if (r->at + 1 == r->rule->step_count) {
        r->is_done = true;
    } else {
        r->at++;
        r->taken_at = NEVER;
    }
}

static_assert(POLICY_STEPS_MAX <= 32, "a bit for each");

static uint32_t empty_steps(const struct policy_rollout *rule, const struct rollout_member *m, size_t count)
{
    uint32_t empty = (uint32_t)((UINT64_C(1) << rule->step_count) - 1);
    for (size_t i = 0; i < count; i++)
        if (m[i].is_live)
            empty &= ~(UINT32_C(1) << rollout_step_of(m[i].turn));
    return empty;
}

void rollout_say_empty(const struct rollout *r, struct buf *out)
{
    bool many = (r->empty & (r->empty - 1)) != 0;
    const char *before = many ? "no living member belongs to steps " : "no living member belongs to step ";
    for (size_t s = 0; s < r->rule->step_count; s++) {
        if (!(r->empty >> s & 1))
            continue;
        buf_addf(out, "%s%zu (", before, s + 1);
        words_step(out, &r->rule->step[s]);
        buf_add_str(out, ")");
        before = ", ";
    }
    if (r->empty)
        buf_add_str(out, many ? ": they try nothing out" : ": it tries nothing out");
}

static bool most_say_halted(const struct rollout_member *m, size_t count, size_t live)
{
    size_t say = 0;
    for (size_t i = 0; i < count; i++)
        say += m[i].is_live && m[i].has_report && m[i].says_halted;
    return say * 2 > live;
}

void rollout_init(struct rollout *r, const struct policy_rollout *rule, uint64_t own_turn, bool is_new,
                  enum rollout_cause halted)
{
    size_t own = rollout_step_of(own_turn);
    *r = (struct rollout){.rule = rule, .own_step = own, .taken_at = NEVER, .halted = halted};
    r->at = is_new ? own : 0;
}

void rollout_look(struct rollout *r, const struct rollout_member *m, size_t count, mono_ms now)
{
    struct tally all = tally_of(m, count, 0, r->rule->step_count);
    r->seen_all = all.live;
    r->seen_new = all.new;
    r->empty = empty_steps(r->rule, m, count);
    if (r->is_done || r->halted || r->is_arriving)
        return;
    catch_up(r, m, count);
    if (all.live * 2 < count)
        return;
    follow_all(r, all.new);
    note_taken(r, m, count, now);
    r->halted = compare(r, m, count, now);
    if (!r->halted && most_say_halted(m, count, all.live))
        r->halted = ROLLOUT_OTHERS;
    if (!r->halted)
        advance(r, now);
}

bool rollout_is_in(const struct rollout *r)
{
    return !r->halted && !r->is_arriving && r->at >= r->own_step;
}

bool rollout_is_arriving(const struct rollout_arrival *a, mono_ms now)
{
    return now - a->joined_at < ROLLOUT_ARRIVAL_MAX_MS && now - a->news_at < ROLLOUT_QUIET_MS;
}

const char *rollout_cause_text(enum rollout_cause c)
{
    static const char *const text[] = {
        [ROLLOUT_NONE] = "",         [ROLLOUT_ERRORS] = "errors",       [ROLLOUT_P99] = "p99",
        [ROLLOUT_DENIED] = "denied", [ROLLOUT_OTHERS] = "most members", [ROLLOUT_ROOT] = "a new root",
    };
    return text[c];
}
