#include "control/enforced.h"

#include "observe/log.h"

static void count_refusal(struct enforced *f, enum err e)
{
    static const char *const reason[] = {
        [ERR_MALFORMED] = "malformed", [ERR_AUTH] = "altered",  [ERR_DENIED] = "signer",
        [ERR_FOREIGN] = "mesh",        [ERR_STALE] = "version", [ERR_UNSUPPORTED] = "feature",
        [ERR_INVALID] = "text",        [ERR_CONFLICT] = "fork", [ERR_LIMIT] = "size",
        [ERR_EXPIRED] = "root",
    };
    const char *r = (size_t)e < sizeof reason / sizeof *reason && reason[e] ? reason[e] : "other";
    struct metric_label label = {"reason", bytes_str(r)};
    metric_add(metric_counter(f->metrics, "starling_policy_refused_total",
                              "Policy bundles refused, by reason.", &label, 1),
               1);
}

static const char *refusal_text(enum err e)
{
    switch (e) {
    case ERR_MALFORMED:
        return "the bundle is malformed, or no signed bundle at all (`starling policy sign` makes one)";
    case ERR_AUTH:
        return "the bundle was altered: a signature does not match its bytes";
    case ERR_DENIED:
        return "the bundle is refused";
    case ERR_FOREIGN:
        return "the bundle belongs to another mesh";
    case ERR_CONFLICT:
        return "another signed bundle of this version is in force, and keeps its place by its lower hash; "
               "raise "
               "`version:` and sign again";
    case ERR_UNSUPPORTED:
        return "the bundle needs a feature that this agent does not have";
    case ERR_INVALID:
        return "the policy text inside does not compile";
    case ERR_LIMIT:
        return "the bundle is too large";
    case ERR_EXPIRED:
        return "the root of trust has expired, and nothing new begins under it; publish a new root first "
               "(`starling mesh "
               "rotate`)";
    default:
        return err_text(e);
    }
}

static void say(struct buf *why, enum err e, struct complaints *c)
{
    buf_add_str(why, refusal_text(e));
    if (c->text.len > 0)
        buf_addf(why, ": %s", buf_str(&c->text));
}

static bool is_above(uint64_t epoch, uint64_t version, uint64_t than_epoch, uint64_t than_version)
{
    return epoch > than_epoch || (epoch == than_epoch && version > than_version);
}

/* Where a number cannot be passed, as after a thief has signed the highest, only the next epoch is above it (ADVERSARY B6). */
static void say_stale(struct buf *why, const struct enforced *f, const struct bundle *b)
{
    bool by_floor = is_above(f->floor_epoch, f->floor_version, f->epoch, f->version);
    uint64_t epoch = by_floor ? f->floor_epoch : f->epoch, version = by_floor ? f->floor_version : f->version;
    buf_addf(why, "version %llu of epoch %llu is not above version %llu of epoch %llu, which %s here; ",
             (unsigned long long)b->version, (unsigned long long)b->epoch, (unsigned long long)version,
             (unsigned long long)epoch, by_floor ? "was in force" : "is in force");
    if (b->epoch < epoch)
        buf_add_str(why, "sign it again under the root of that epoch");
    else if (version == NUMBER_MAX)
        buf_add_str(why, "no number is: publish the next root (`starling mesh rotate`), under which versions "
                         "begin afresh");
    else
        buf_add_str(why, "raise `version:` and sign again");
}

static void adopt(struct enforced *f, struct policy *policy, struct buf *bundle_take, const struct bundle *b)
{
    policy_unref(f->policy);
    buf_fini(&f->bundle);
    f->policy = policy;
    f->bundle = *bundle_take;
    *bundle_take = (struct buf){0};
    f->epoch = b->epoch;
    f->version = b->version;
    f->hash = b->hash;
    f->damaged = f->unvouched = false;
    if (!is_above(f->failed.epoch, f->failed.version, b->epoch, b->version))
        f->failed = (struct enforced_failed){.epoch = 0};
}

/* The words of others, such as names in a bundle, as every terminal and record takes them. */
static void add_word(struct enforced_failed *to, struct bytes word)
{
    size_t len = strlen(to->what), lead = len ? 2 : 0;
    size_t room = sizeof to->what - 1 - len;
    if (room <= lead)
        return;
    word.len = word.len < room - lead ? word.len : room - lead;
    memcpy(to->what + len, ", ", lead);
    for (size_t i = 0; i < word.len; i++)
        to->what[len + lead + i] = (char)(word.at[i] >= ' ' && word.at[i] <= '~' ? word.at[i] : '?');
    to->what[len + lead + word.len] = 0;
}

/* False: it is no news. Told once for each version and reason, for gossip brings the bundle again and again. */
static bool begin_failed(struct enforced *f, uint64_t epoch, uint64_t version, const char *reason)
{
    if (!is_above(epoch, version, f->epoch, f->version) ||
        is_above(f->floor_epoch, f->floor_version, epoch, version) ||
        is_above(f->failed.epoch, f->failed.version, epoch, version))
        return false;
    if (f->failed.epoch == epoch && f->failed.version == version && strcmp(f->failed.reason, reason) == 0)
        return false;
    f->failed = (struct enforced_failed){.epoch = epoch, .version = version};
    snprintf(f->failed.reason, sizeof f->failed.reason, "%s", reason);
    return true;
}

static const char *what_stays(const struct enforced *f)
{
    return f->policy ? "the version before stays in force" : "no policy is in force, everything is denied";
}

/* An agent older than the policy keeps the one before, and says which feature it lacks. */
static void note_lacking(struct enforced *f, const struct bundle *b)
{
    if (!begin_failed(f, b->epoch, b->version, "feature"))
        return;
    for (size_t i = 0; i < b->unknown_count; i++)
        add_word(&f->failed, b->unknown[i]);
    for (int i = 0; i < POLICY_FEATURES; i++)
        if (features_lacking(b->features) & feature_bit((enum policy_feature)i))
            add_word(&f->failed, bytes_str(feature_name((enum policy_feature)i)));
    log_error("policy", "version %llu needs what this agent lacks (%s): %s; update the agent",
              (unsigned long long)b->version, f->failed.what, what_stays(f));
}

/* Signed by the policy keys, by another version's engine, and nothing that this one can read. */
static void note_text(struct enforced *f, const struct bundle *b, struct complaints *c)
{
    const char *said = buf_str(&c->text);
    if (!begin_failed(f, b->epoch, b->version, "text"))
        return;
    add_word(&f->failed, bytes_of(said, strcspn(said, "\n")));
    log_error("policy", "version %llu does not compile here: %s; %s", (unsigned long long)b->version,
              f->failed.what, what_stays(f));
}

static void note_store(struct enforced *f, uint64_t epoch, uint64_t version, enum err e)
{
    if (!begin_failed(f, epoch, version, "store"))
        return;
    add_word(&f->failed, bytes_str(err_text(e)));
    log_error("policy", "version %llu cannot be stored: %s; %s", (unsigned long long)version, err_text(e),
              what_stays(f));
}

/* Opens `bytes` in the form that this root wants, which replaces them: it may ask for fewer signatures than an earlier one. */
static enum err open_settled(struct bundle *b, struct policy **policy, struct buf *bytes,
                             const struct root *root, struct complaints *c)
{
    struct buf settled = {0};
    enum err e = bundle_settle(&settled, root, buf_bytes(bytes));
    if (e != ERR_OK) { /* opened as it is, for its complaint */
        buf_fini(&settled);
        return bundle_open(b, policy, root, buf_bytes(bytes), c);
    }
    buf_fini(bytes);
    *bytes = settled;
    return bundle_open(b, policy, root, buf_bytes(bytes), c);
}

/* By the newest root that vouches for it. *by: how many are newer than that one. */
static enum err open_stored(struct bundle *b, struct policy **policy, struct buf *bytes,
                            const struct chain *roots, size_t *by, struct complaints *c)
{
    enum err e = open_settled(b, policy, bytes, &roots->newest, c);
    for (*by = 1; e == ERR_DENIED && *by < roots->count; ++*by) {
        struct root earlier;
        enum err opened = root_open(&earlier, roots->envelope[roots->count - 1 - *by]);
        if (opened == ERR_OK && open_settled(b, policy, bytes, &earlier, NULL) == ERR_OK)
            return ERR_OK;
    }
    *by = 0;
    return e;
}

enum err enforced_init(struct enforced *f, struct store *s, const struct chain *roots, struct metrics *m,
                       struct buf *why)
{
    struct buf bytes = {0};
    struct complaints c = {.file = "stored policy"};
    struct bundle b;
    struct policy *policy = NULL;
    size_t by = 0;
    *f = (struct enforced){.metrics = m};
    enum err e = history_load(&f->history, s);
    if (e != ERR_OK)
        return e;
    e = store_policy_active(s, &bytes, &f->floor_epoch, &f->floor_version);
    if (e == ERR_OK && bytes.len > 0)
        e = open_stored(&b, &policy, &bytes, roots, &by, &c);
    if (e == ERR_OK && bytes.len > 0 && (e = bundle_suits(&b, &c)) != ERR_OK) {
        note_lacking(f, &b); /* stored by a later version of this program */
        policy_unref(policy);
    }
    if (e == ERR_OK && bytes.len > 0) {
        adopt(f, policy, &bytes, &b);
        f->history_dirty = history_note(&f->history, b.epoch, b.version, &b.hash, 0);
        f->unvouched = by > 0;
    } else if (e != ERR_OK && e != ERR_IO && e != ERR_NOMEM) {
        f->damaged = true;
        say(why, e, &c);
        count_refusal(f, e);
        e = ERR_OK;
    }
    buf_fini(&bytes);
    buf_fini(&c.text);
    return e;
}

void enforced_rejudge(struct enforced *f, const struct root *root)
{
    struct buf settled = {0};
    if (!f->policy)
        return;
    enum err e = bundle_settle(&settled, root, buf_bytes(&f->bundle));
    if (e == ERR_OK) {
        buf_fini(&f->bundle);
        f->bundle = settled;
    } else {
        buf_fini(&settled);
    }
    f->unvouched = e != ERR_OK;
}

void enforced_fini(struct enforced *f)
{
    policy_unref(f->policy);
    policy_unref(f->next.policy);
    buf_fini(&f->bundle);
    buf_fini(&f->next.bundle);
    buf_fini(&f->waiting);
}

void enforced_alarm_fork(struct enforced *f, const struct bundle *b, const struct hash *held)
{
    bool is_lower = memcmp(b->hash.b, held->b, HASH_BYTES) < 0;
    char kept[HASH_TEXT_MAX], other[HASH_TEXT_MAX];
    count_refusal(f, ERR_CONFLICT);
    if (!history_note_fork(&f->history, b->epoch, b->version, is_lower ? held : &b->hash))
        return;
    f->history_dirty = true;
    hex_encode(is_lower ? b->hash.b : held->b, HASH_BYTES, kept);
    hex_encode(f->history.fork.hash.b, HASH_BYTES, other);
    log_error("policy",
              "two validly signed policies carry version %llu: the one with the lower hash (%.16s) is kept "
              "everywhere, the other (%.16s) is not; sign a higher version",
              (unsigned long long)b->version, kept, other);
}

/* May this one follow what is in force, and the floor? ERR_CONFLICT: the same version, and what is in force has the
 * lower hash. */
static enum err may_follow(struct enforced *f, const struct bundle *b)
{
    if (b->epoch < f->floor_epoch || (b->epoch == f->floor_epoch && b->version < f->floor_version))
        return ERR_STALE;
    if (!f->policy)
        return ERR_OK;
    enum err e = bundle_succeeds(b, f->epoch, f->version, &f->hash);
    if (b->epoch != f->epoch || b->version != f->version || e == ERR_EXISTS)
        return e;
    enforced_alarm_fork(f, b, &f->hash);
    return e == ERR_CONFLICT ? ERR_OK : ERR_CONFLICT;
}

static enum err check(struct enforced *f, const struct root *root, struct buf *bytes, wall_s now,
                      struct bundle *b, struct policy **policy, struct buf *why)
{
    struct complaints c = {.file = "bundle"};
    enum err e = bytes->len > BUNDLE_BYTES_MAX           ? ERR_LIMIT
                 : root->expires && now >= root->expires ? ERR_EXPIRED
                                                         : open_settled(b, policy, bytes, root, &c);
    if (b->part.len > 0 && (e == ERR_OK || e == ERR_UNSUPPORTED || e == ERR_INVALID)) {
        complain(&c, NULL, "a delegate's part of a policy, where a whole one belongs");
        e = ERR_DENIED;
    }
    if (e == ERR_OK)
        e = may_follow(f, b);
    if (e == ERR_EXISTS && f->unvouched)
        e = ERR_OK; /* the same words, and the new root's signatures under them */
    if (e == ERR_OK)
        e = bundle_suits(b, &c);
    if (e == ERR_UNSUPPORTED && b->version > 0) /* else a later format, of which nothing is verified */
        note_lacking(f, b);
    else if (e == ERR_INVALID)
        note_text(f, b, &c);
    if (e == ERR_EXISTS)
        buf_addf(why, "version %llu is in force already: nothing changes", (unsigned long long)b->version);
    else if (e == ERR_STALE)
        say_stale(why, f, b);
    else if (e != ERR_OK)
        say(why, e, &c);
    buf_fini(&c.text);
    return e;
}

void enforced_wait(struct enforced *f, struct bytes bundle)
{
    f->waiting.len = 0;
    buf_add_bytes(&f->waiting, bundle);
    if (!buf_ok(&f->waiting)) /* gossip will offer it again */
        buf_fini(&f->waiting);
}

static void hold_next(struct enforced *f, const struct bundle *b, struct policy *policy,
                      struct buf *bytes_take)
{
    f->next.busy = true;
    f->next.policy = policy;
    f->next.bundle = *bytes_take;
    f->next.epoch = b->epoch;
    f->next.version = b->version;
    f->next.hash = b->hash;
}

enum err enforced_offer(struct enforced *f, struct store *s, const struct root *root, struct bytes bytes,
                        wall_s now, uint64_t ticket, struct buf *why)
{
    struct bundle b = {.epoch = 0};
    struct policy *policy = NULL;
    struct buf copy = {0};
    if (f->next.busy) {
        buf_add_str(why, "another bundle is just being stored; try again");
        return ERR_AGAIN;
    }
    buf_add_bytes(&copy, bytes);
    enum err e = buf_ok(&copy) ? check(f, root, &copy, now, &b, &policy, why) : ERR_NOMEM;
    if (e != ERR_OK && e != ERR_EXISTS && e != ERR_CONFLICT) /* enforced_alarm_fork() has */
        count_refusal(f, e);
    if (e == ERR_OK) {
        e = store_policy_activate(s, b.epoch, b.version, buf_bytes(&copy), ticket);
        if (e != ERR_OK)
            note_store(f, b.epoch, b.version, e);
        if (e != ERR_OK)
            buf_addf(why, "the bundle cannot be stored: %s; what is in force stays", err_text(e));
    }
    if (e == ERR_OK) {
        hold_next(f, &b, policy, &copy);
        return ERR_OK;
    }
    policy_unref(policy);
    buf_fini(&copy);
    return e;
}

bool enforced_confirmed(struct enforced *f, enum err outcome, wall_s now)
{
    struct bundle b = {.epoch = f->next.epoch, .version = f->next.version, .hash = f->next.hash};
    f->next.busy = false;
    if (outcome != ERR_OK) {
        note_store(f, b.epoch, b.version, outcome);
        policy_unref(f->next.policy);
        buf_fini(&f->next.bundle);
        f->next.policy = NULL;
        return false;
    }
    adopt(f, f->next.policy, &f->next.bundle, &b);
    f->next.policy = NULL;
    f->floor_epoch = b.epoch;
    f->floor_version = b.version;
    f->history_dirty |= history_note(&f->history, b.epoch, b.version, &b.hash, now);
    return true;
}

void enforced_save(struct enforced *f, struct store *s)
{
    if (f->history_dirty)
        f->history_dirty = history_save(&f->history, s) != ERR_OK;
}

/* -- alarms about what is in force ------------------------------------------------------------- */

bool enforced_is_forked(const struct enforced *f, struct hash *other)
{
    const struct history_fork *k = &f->history.fork;
    bool is_past = is_above(f->epoch, f->version, k->epoch, k->version) ||
                   is_above(f->floor_epoch, f->floor_version, k->epoch, k->version);
    if (k->version == 0 || is_past)
        return false;
    if (other)
        *other = k->hash;
    return true;
}

bool enforced_is_expired(const struct enforced *f)
{
    return f->policy && f->history.expired_version > 0 && f->history.expired_epoch == f->epoch &&
           f->history.expired_version == f->version;
}

void enforced_look_at_clock(struct enforced *f, wall_s now)
{
    wall_s end = f->policy ? policy_expires(f->policy) : 0;
    if (end == 0 || now < end || enforced_is_expired(f))
        return;
    f->history.expired_epoch = f->epoch;
    f->history.expired_version = f->version;
    f->history_dirty = true;
}

bool enforced_expires_soon(const struct enforced *f, wall_s now)
{
    wall_s end = f->policy ? policy_expires(f->policy) : 0,
           since = history_since(&f->history, f->epoch, f->version);
    wall_s before = since && (end - since) / 3 < ENFORCED_WARN_S ? (end - since) / 3 : ENFORCED_WARN_S;
    return end != 0 && end - now < before;
}

struct enforced_failed enforced_trouble(const struct enforced *f)
{
    const struct history_fork *k = &f->history.fork;
    struct enforced_failed t = {.epoch = k->epoch, .version = k->version, .reason = "fork"};
    struct hash other;
    if (f->failed.reason[0])
        return f->failed;
    if (!enforced_is_forked(f, &other))
        return (struct enforced_failed){.epoch = 0};
    static_assert(sizeof t.what > HASH_TEXT_MAX, "a hash fits");
    hex_encode(other.b, HASH_BYTES, t.what);
    return t;
}
