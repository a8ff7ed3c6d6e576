#include "control/overlaid.h"

#include "observe/log.h"
#include "trust/codec.h"

#define FACT "overlay"
enum { LAYOUT = 1, SAVE_RETRY_MS = 1000 };

const char *overlaid_end_text(enum overlaid_end e)
{
    static const char *const text[] = {
#define X(name, text) [OVERLAID_##name] = text,
        OVERLAID_ENDS(X)
#undef X
    };
    return text[e];
}

/* -- the fact ---------------------------------------------------------------------------------- */

/* [layout, overlay bin, why it is over uint, [entry, ...]] */
static void put_entry(struct buf *out, const struct overlaid_entry *h)
{
    codec_put_array(out, 11);
    codec_put_u64(out, h->o.epoch);
    codec_put_u64(out, h->o.version);
    codec_put_bin(out, bytes_of(h->o.hash.b, HASH_BYTES));
    codec_put_str(out, bytes_str(h->o.name));
    codec_put_str(out, bytes_str(h->o.reason));
    codec_put_u64(out, (uint64_t)h->o.begins);
    codec_put_u64(out, (uint64_t)h->o.ends);
    codec_put_u64(out, h->o.rule_count);
    codec_put_array(out, 3);
    codec_put_u64(out, (uint64_t)h->since);
    codec_put_u64(out, (uint64_t)h->over_at);
    codec_put_u64(out, (uint64_t)h->end);
    codec_put_u64(out, h->o.signers_wanted);
    codec_put_array(out, h->o.signer_count);
    for (size_t i = 0; i < h->o.signer_count; i++)
        codec_put_bin(out, bytes_of(h->o.signer[i].b, ID_BYTES));
}

static void read_text(struct codec *c, char *to, size_t max)
{
    struct bytes t = codec_str(c, "overlay", max);
    memcpy(to, t.at ? (const void *)t.at : "", t.len);
    to[t.len] = 0;
}

static void read_entry(struct codec *c, struct overlaid_entry *h)
{
    (void)codec_array(c, "overlay", 11, 11);
    h->o.epoch = codec_u64(c, "overlay", NUMBER_MAX);
    h->o.version = codec_u64(c, "overlay", NUMBER_MAX);
    codec_bin_copy(c, "overlay", h->o.hash.b, HASH_BYTES);
    read_text(c, h->o.name, OVERLAY_NAME_MAX);
    read_text(c, h->o.reason, POLICY_REASON_MAX);
    h->o.begins = (wall_s)codec_u64(c, "overlay", (uint64_t)WALL_MAX);
    h->o.ends = (wall_s)codec_u64(c, "overlay", (uint64_t)WALL_MAX);
    h->o.rule_count = codec_u64(c, "overlay", OVERLAY_RULES_MAX);
    (void)codec_array(c, "overlay", 3, 3);
    h->since = (wall_s)codec_u64(c, "overlay", (uint64_t)WALL_MAX);
    h->over_at = (wall_s)codec_u64(c, "overlay", (uint64_t)WALL_MAX);
    h->end = (enum overlaid_end)codec_u64(c, "overlay", OVERLAID_END_COUNT - 1);
    h->o.signers_wanted = codec_u64(c, "overlay", ENVELOPE_SIGS_MAX);
    h->o.signer_count = codec_array(c, "overlay", 0, ENVELOPE_SIGS_MAX);
    for (size_t i = 0; i < h->o.signer_count; i++)
        codec_bin_copy(c, "overlay", h->o.signer[i].b, ID_BYTES);
}

static enum err save(struct store *s, struct bytes overlay, enum overlaid_end over,
                     const struct overlaid_entry *history, size_t count, uint64_t ticket)
{
    struct buf fact = {0};
    codec_put_array(&fact, 4);
    codec_put_u64(&fact, LAYOUT);
    codec_put_bin(&fact, overlay);
    codec_put_u64(&fact, (uint64_t)over);
    codec_put_array(&fact, count);
    for (size_t i = 0; i < count; i++)
        put_entry(&fact, &history[i]);
    enum err e = buf_ok(&fact) ? store_fact_put(s, FACT, buf_bytes(&fact), ticket) : ERR_NOMEM;
    buf_fini(&fact);
    return e;
}

static bool decode(struct overlaid *v, struct bytes in)
{
    struct codec c = codec_of(in);
    (void)codec_array(&c, "overlay", 4, 4);
    (void)codec_u64(&c, "overlay", LAYOUT);
    struct bytes overlay = codec_bin(&c, "overlay", 1, OVERLAY_BYTES_MAX);
    v->over = (enum overlaid_end)codec_u64(&c, "overlay", OVERLAID_END_COUNT - 1);
    v->count = codec_array(&c, "overlay", 1, OVERLAID_HISTORY);
    for (size_t i = 0; i < v->count; i++)
        read_entry(&c, &v->history[i]);
    buf_add_bytes(&v->bytes, overlay);
    return codec_end(&c, NULL) == ERR_OK && buf_ok(&v->bytes);
}

/* -- the history ------------------------------------------------------------------------------- */

static struct overlaid_entry *last(struct overlaid *v)
{
    return v->count ? &v->history[v->count - 1] : NULL;
}

static void note_over(struct overlaid_entry *h, enum overlaid_end end, wall_s now)
{
    if (!h || h->end != OVERLAID_NOT)
        return;
    h->end = end;
    h->over_at = now;
}

/* What the newest becomes when `o` takes its place: ended by its own next version, or replaced. */
static enum overlaid_end end_by(const struct overlay *o)
{
    return o->rule_count == 0 ? OVERLAID_ENDED : OVERLAID_REPLACED;
}

/* The history as it is once `o` is held. */
static size_t history_with(struct overlaid_entry out[OVERLAID_HISTORY], const struct overlaid *v,
                           const struct overlay *o, enum overlaid_end over, wall_s now)
{
    size_t skip = v->count == OVERLAID_HISTORY, count = v->count - skip;
    memcpy(out, v->history + skip, count * sizeof *out);
    if (count > 0)
        note_over(&out[count - 1], end_by(o), now);
    out[count] = (struct overlaid_entry){.o = *o, .since = now, .end = over, .over_at = over ? now : 0};
    out[count].o.mesh = out[count].o.text = bytes_of(NULL, 0);
    return count + 1;
}

/* -- in words ---------------------------------------------------------------------------------- */

/* "incident-7 (version 3: the shop is shut; signed by ed25519:..., ed25519:...; until 2026-...)" */
static void describe(const struct overlay *o, struct buf *out)
{
    char key[NODE_ID_TEXT_MAX], ends[WALL_TEXT_MAX];
    buf_addf(out, "%s (version %llu: %s; signed by ", o->name, (unsigned long long)o->version, o->reason);
    for (size_t i = 0; i < o->signer_count; i++)
        buf_addf(out, "%s%.24s", i ? ", " : "", node_id_text(&o->signer[i], key));
    buf_addf(out, "; until %s)", wall_text(o->ends, ends));
}

static void say(const struct overlay *o, const char *before, const char *after)
{
    struct buf text = {0};
    describe(o, &text);
    log_warn("audit", "%s %s%s", before, buf_str(&text), after);
    buf_fini(&text);
}

static void say_over(const struct overlay *o, enum overlaid_end end)
{
    static const char *const how[] = {
        [OVERLAID_EXPIRED] = ": its end has come",
        [OVERLAID_ENDED] = ": its operators have ended it",
        [OVERLAID_REPLACED] = ": another takes its place",
        [OVERLAID_FELL] = ": the root in force does not vouch for it",
    };
    say(o, "break-glass is over: overlay", how[end]);
}

/* -- judging ----------------------------------------------------------------------------------- */

static void count_refusal(struct overlaid *v, enum err e)
{
    static const char *const reason[] = {
        [ERR_MALFORMED] = "malformed", [ERR_AUTH] = "altered",  [ERR_DENIED] = "signer",
        [ERR_FOREIGN] = "mesh",        [ERR_STALE] = "version", [ERR_UNSUPPORTED] = "format",
        [ERR_INVALID] = "text",        [ERR_CONFLICT] = "fork", [ERR_LIMIT] = "size",
        [ERR_EXPIRED] = "time",
    };
    const char *r = (size_t)e < sizeof reason / sizeof *reason && reason[e] ? reason[e] : "other";
    struct metric_label label = {"reason", bytes_str(r)};
    metric_add(metric_counter(v->metrics, "starling_overlay_refused_total", "Overlays refused, by reason.",
                              &label, 1),
               1);
}

/* In the one form in which it travels. *o borrows from *out. */
static enum err open_by(struct overlay *o, struct buf *out, const struct root *root, struct bytes in,
                        struct complaints *c)
{
    struct buf settled = {0};
    enum err e = overlay_settle(&settled, root, in);
    buf_fini(out);
    if (e == ERR_OK)
        *out = settled;
    else
        buf_add_bytes(out, in); /* opened as it is, for its complaint */
    if (e != ERR_OK)
        buf_fini(&settled);
    return buf_ok(out) ? overlay_open(o, root, buf_bytes(out), c) : ERR_NOMEM;
}

/* By the newest root; or by an earlier one that vouches for it: then it has fallen, and counts for its version only. All agents
 * come to hold the same, whenever they joined. */
static enum err open_any(struct overlay *o, struct buf *out, enum overlaid_end *over,
                         const struct chain *roots, struct bytes in, struct complaints *c)
{
    enum err e = open_by(o, out, &roots->newest, in, c);
    *over = OVERLAID_NOT;
    for (size_t by = 1; (e == ERR_DENIED || e == ERR_INVALID) && by < roots->count; by++) {
        struct root earlier;
        if (root_open(&earlier, roots->envelope[roots->count - 1 - by]) != ERR_OK ||
            open_by(o, out, &earlier, in, NULL) != ERR_OK)
            continue;
        *over = OVERLAID_FELL;
        return ERR_OK;
    }
    return e;
}

/* What an operator should hear at once, instead of wondering why nothing happens. */
static enum err check_by_hand(const struct overlay *o, enum overlaid_end over, wall_s now, struct buf *why)
{
    if (over == OVERLAID_FELL) {
        buf_add_str(why, "the root in force does not vouch for this overlay; sign it anew");
        return ERR_DENIED;
    }
    if (overlay_phase(o, now) == OVERLAY_OVER) {
        buf_add_str(why, "this overlay has ended already; sign a new one");
        return ERR_EXPIRED;
    }
    if (overlay_phase(o, now) == OVERLAY_EARLY) {
        buf_add_str(why, "this overlay was signed in what is the future here: the clock of its first signer, "
                         "or this host's, is wrong");
        return ERR_EXPIRED;
    }
    return ERR_OK;
}

/* ADVERSARY B12, as of policies. */
static void alarm_fork(struct overlaid *v, const struct overlay *o)
{
    count_refusal(v, ERR_CONFLICT);
    if (v->forked)
        return;
    v->forked = true;
    log_error(
        "audit",
        "two validly signed overlays carry version %llu, %s and %s: the one with the lower hash is kept "
        "everywhere; sign a higher version",
        (unsigned long long)o->version, last(v)->o.name, o->name);
}

static enum err may_follow(struct overlaid *v, const struct overlay *o, struct buf *why)
{
    if (v->count == 0)
        return ERR_OK;
    const struct overlay *held = &last(v)->o; /* also when its bytes could not be used any more */
    enum err e = overlay_succeeds(o, held->epoch, held->version, &held->hash);
    bool same = o->epoch == held->epoch && o->version == held->version;
    if (same && e != ERR_EXISTS)
        alarm_fork(v, o);
    if (e == ERR_EXISTS)
        buf_addf(why, "overlay %s, version %llu, is held already", o->name, (unsigned long long)o->version);
    if (e == ERR_STALE)
        buf_addf(why, "version %llu is held already (overlay %s); raise `version:` and sign again",
                 (unsigned long long)held->version, held->name);
    return e == ERR_CONFLICT ? ERR_OK : e;
}

static enum err check_root(const struct chain *roots, const struct overlay *o, wall_s now, struct buf *why)
{
    if (o->rule_count == 0 || roots->newest.expires == 0 || now < roots->newest.expires)
        return ERR_OK;
    buf_add_str(why,
                "the root of trust has expired, and nothing new begins under it; publish a new root first");
    return ERR_EXPIRED;
}

static enum err store_next(struct overlaid *v, struct store *s, wall_s now, uint64_t ticket, struct buf *why)
{
    struct overlaid_entry *with = calloc(OVERLAID_HISTORY, sizeof *with);
    if (!with)
        return ERR_NOMEM;
    size_t count = history_with(with, v, &v->next.o, v->next.over, now);
    enum err e = save(s, buf_bytes(&v->next.bytes), v->next.over, with, count, ticket);
    if (e != ERR_OK)
        buf_addf(why, "the overlay cannot be stored: %s; without that it is not audited, and does not begin",
                 err_text(e));
    free(with);
    return e;
}

static void drop_next(struct overlaid *v)
{
    buf_fini(&v->next.bytes);
    v->next.busy = v->next.save_again = false;
}

static enum err judge(struct overlaid *v, const struct chain *roots, struct bytes in, enum overlaid_bearer by,
                      wall_s now, struct buf *why)
{
    struct complaints c = {.file = "overlay"};
    enum err e = open_any(&v->next.o, &v->next.bytes, &v->next.over, roots, in, &c);
    if (e != ERR_OK)
        buf_addf(why, "the overlay is refused: %s", c.text.len ? buf_str(&c.text) : err_text(e));
    buf_fini(&c.text);
    if (e == ERR_OK)
        e = may_follow(v, &v->next.o, why);
    if (e == ERR_OK && by == OVERLAID_BY_HAND)
        e = check_by_hand(&v->next.o, v->next.over, now, why);
    if (e == ERR_OK)
        e = check_root(roots, &v->next.o, now, why);
    if (e == ERR_OK && v->next.over == OVERLAID_NOT && overlay_phase(&v->next.o, now) == OVERLAY_OVER)
        v->next.over = OVERLAID_EXPIRED;
    if (e == ERR_OK && v->next.over == OVERLAID_NOT && v->next.o.rule_count == 0)
        v->next.over = OVERLAID_ENDED;
    return e;
}

enum err overlaid_offer(struct overlaid *v, struct store *s, const struct chain *roots, struct bytes in,
                        enum overlaid_bearer by, wall_s now, uint64_t ticket, struct buf *why)
{
    if (v->next.busy) {
        buf_add_str(why, "another overlay is just being stored; try again");
        return ERR_AGAIN;
    }
    enum err e = judge(v, roots, in, by, now, why);
    if (e != ERR_OK && e != ERR_EXISTS)
        count_refusal(v, e);
    if (e == ERR_OK)
        e = store_next(v, s, now, ticket, why);
    v->next.busy = e == ERR_OK;
    if (e != ERR_OK)
        drop_next(v);
    if (by == OVERLAID_BY_GOSSIP && e == ERR_DENIED && in.len <= OVERLAY_BYTES_MAX) {
        v->waiting.len = 0; /* its root may be on its way */
        buf_add_bytes(&v->waiting, in);
    }
    return e;
}

/* How long it may be on from now by the monotonic clock, whatever becomes of the other. */
static mono_ms latest_end(const struct overlay *o, wall_s now, mono_ms mono)
{
    wall_s left = o->ends - now;
    if (left > OVERLAY_LIFE_MAX_S) /* early */
        left = OVERLAY_LIFE_MAX_S;
    return mono + (left > 0 ? (mono_ms)left * 1000 : 0);
}

bool overlaid_confirmed(struct overlaid *v, enum err outcome, wall_s now, mono_ms mono)
{
    assert(v->next.busy); /* one at a time: nothing drops it but the store's answer */
    if (outcome != ERR_OK) {
        drop_next(v);
        return false;
    }
    struct overlaid_entry *with = calloc(OVERLAID_HISTORY, sizeof *with);
    if (!with) {
        drop_next(v); /* it is stored, and taken up at the next start, or when gossip brings it again */
        return false;
    }
    if (v->was_on)
        say_over(&v->newest, end_by(&v->next.o));
    v->count = history_with(with, v, &v->next.o, v->next.over, now);
    memcpy(v->history, with, v->count * sizeof *with);
    free(with);
    bool same = v->bytes.len && v->newest.epoch == v->next.o.epoch && v->newest.version == v->next.o.version;
    buf_fini(&v->bytes);
    v->bytes = v->next.bytes;
    v->next.bytes = (struct buf){0};
    v->newest = v->next.o;
    v->over = v->next.over;
    v->until = latest_end(&v->newest, now, mono);
    v->was_on = false;
    v->was_on = overlaid_is_on(v, now);
    v->in_force = false;
    v->why_not[0] = 0;
    v->forked = v->forked && same;
    v->dirty |= v->next.save_again;
    v->next.busy = v->next.save_again = false;
    return true;
}

static void end(struct overlaid *v, enum overlaid_end how, wall_s now)
{
    say_over(&v->newest, how);
    v->over = how;
    v->was_on = v->in_force = false;
    v->dirty = true;
    note_over(last(v), how, now);
}

enum settled { SETTLED_KEPT, SETTLED_AGAIN, SETTLED_FELL };

/* In the form that this root wants, unless it does not vouch for it, or there is no memory. */
static enum settled settle_again(struct overlay *o, struct buf *bytes, const struct root *root)
{
    struct overlay fresh;
    struct buf settled = {0};
    enum err e = open_by(&fresh, &settled, root, buf_bytes(bytes), NULL);
    if (e != ERR_OK) {
        buf_fini(&settled);
        return e == ERR_NOMEM ? SETTLED_KEPT : SETTLED_FELL;
    }
    buf_fini(bytes);
    *bytes = settled;
    *o = fresh;
    return SETTLED_AGAIN;
}

/* What is being stored was judged by the root before. It keeps its place, for the store's answer is about it and nothing else. */
static void rejudge_next(struct overlaid *v, const struct root *root)
{
    if (!v->next.busy || v->next.over == OVERLAID_FELL)
        return;
    enum settled s = settle_again(&v->next.o, &v->next.bytes, root);
    if (s == SETTLED_FELL)
        v->next.over = OVERLAID_FELL;
    v->next.save_again |= s != SETTLED_KEPT;
}

bool overlaid_rejudge(struct overlaid *v, const struct root *root, wall_s now)
{
    rejudge_next(v, root);
    if (v->over != OVERLAID_NOT || v->bytes.len == 0 ||
        settle_again(&v->newest, &v->bytes, root) != SETTLED_FELL)
        return false;
    end(v, OVERLAID_FELL, now);
    return true;
}

/* -- time -------------------------------------------------------------------------------------- */

bool overlaid_is_on(const struct overlaid *v, wall_s now)
{
    enum overlay_phase phase = overlay_phase(&v->newest, now);
    return v->bytes.len > 0 && v->over == OVERLAID_NOT && v->newest.rule_count > 0 &&
           (phase == OVERLAY_ON || (v->was_on && phase == OVERLAY_EARLY)); /* by a clock that was set back */
}

bool overlaid_step(struct overlaid *v, struct store *s, wall_s now, mono_ms mono)
{
    bool changed = false;
    if (v->bytes.len > 0 && v->over == OVERLAID_NOT &&
        (overlay_phase(&v->newest, now) == OVERLAY_OVER || mono >= v->until)) {
        end(v, OVERLAID_EXPIRED, now);
        changed = true;
    }
    bool on = overlaid_is_on(v, now);
    changed |= on != v->was_on;
    v->was_on = on;
    if (v->dirty && !v->next.busy)
        v->dirty = save(s, buf_bytes(&v->bytes), v->over, v->history, v->count, 0) != ERR_OK;
    return changed;
}

mono_ms overlaid_deadline(const struct overlaid *v, wall_s now, mono_ms mono)
{
    if (v->dirty)
        return mono + SAVE_RETRY_MS;
    if (v->bytes.len == 0 || v->over != OVERLAID_NOT)
        return NEVER;
    wall_s at = v->was_on ? v->newest.ends : v->newest.begins - CLOCK_SKEW_S;
    mono_ms by_wall = at > now ? mono + (mono_ms)(at - now) * 1000 : mono;
    return mono_min(v->until, by_wall);
}

void overlaid_composed(struct overlaid *v, const char *why_not)
{
    bool news = (why_not[0] == 0) != v->in_force || strncmp(why_not, v->why_not, OVERLAID_WHY_MAX - 1) != 0;
    v->in_force = why_not[0] == 0;
    snprintf(v->why_not, sizeof v->why_not, "%s", why_not);
    if (!news)
        return;
    if (v->in_force)
        say(&v->newest, "break-glass: overlay", " is in force");
    else
        log_error("audit", "overlay %s is not in force: %s", v->newest.name, v->why_not);
}

/* -- begin and end ----------------------------------------------------------------------------- */

enum err overlaid_init(struct overlaid *v, struct store *s, const struct chain *roots, struct metrics *m,
                       wall_s now, mono_ms mono)
{
    struct buf fact = {0}, bytes = {0};
    enum overlaid_end over = OVERLAID_NOT;
    *v = (struct overlaid){.metrics = m};
    enum err e = store_fact_get(s, FACT, &fact);
    bool has = e == ERR_OK && fact.len > 0;
    bool is_read = has && decode(v, buf_bytes(&fact));
    if (is_read)
        e = open_any(&v->newest, &bytes, &over, roots, buf_bytes(&v->bytes), NULL);
    else if (has)
        e = ERR_UNSUPPORTED;
    v->count = is_read ? v->count : 0;
    buf_fini(&fact);
    if (!has)
        return e;
    buf_fini(&v->bytes);
    if (e != ERR_OK) { /* of a later version, or of roots that are gone */
        log_error("audit", "the stored overlay cannot be used any more: %s", err_text(e));
        buf_fini(&bytes);
        v->over = OVERLAID_FELL;
        return e == ERR_NOMEM ? ERR_NOMEM : ERR_OK;
    }
    v->bytes = bytes;
    v->until = latest_end(&v->newest, now, mono);
    if (v->over == OVERLAID_NOT && over == OVERLAID_FELL)
        end(v, OVERLAID_FELL, now);
    (void)overlaid_step(v, s, now, mono);
    return ERR_OK;
}

void overlaid_fini(struct overlaid *v)
{
    buf_fini(&v->bytes);
    buf_fini(&v->next.bytes);
    buf_fini(&v->waiting);
}
