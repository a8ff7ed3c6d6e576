#include "control/anchor.h"

#include "observe/log.h"
#include "store/file.h"

static void count_refusal(struct anchor *a, const char *reason)
{
    struct metric_label label = {"reason", bytes_str(reason)};
    metric_add(metric_counter(a->metrics, "starling_root_refused_total",
                              "Roots and chains of roots refused, by reason.", &label, 1),
               1);
}

/* Takes over what an opened chain is about. It borrows from what is a->chain now, or in a moment. */
static void note(struct anchor *a, const struct chain *c)
{
    a->hash = c->hash;
    a->newest = root_hash(c->envelope[c->count - 1]);
    a->epoch = c->newest.epoch;
    a->first = c->first_epoch;
    a->count = c->count;
    a->opened = *c;
}

/* Ours, with what theirs has before it (if theirs holds our first root) and after it. */
static enum err merge(struct buf *out, const struct chain *ours, const struct chain *theirs)
{
    struct bytes all[2 * CHAIN_ROOTS_MAX];
    size_t n = 0;
    struct hash first = root_hash(ours->envelope[0]);
    bool longer = chain_has(theirs, &first);
    for (size_t i = 0; longer && theirs->first_epoch + i < ours->first_epoch; i++)
        all[n++] = theirs->envelope[i];
    for (size_t i = 0; i < ours->count; i++)
        all[n++] = ours->envelope[i];
    for (size_t i = 0; i < theirs->count; i++)
        if (theirs->first_epoch + i > ours->newest.epoch)
            all[n++] = theirs->envelope[i];
    return chain_of(out, all, n);
}

/* -- boot -------------------------------------------------------------------------------------- */

/* The file is beyond the stored chain: its next step, or the operator's word. */
static enum err begin_anew(struct buf *chain, const struct chain *stored, struct bytes file, struct buf *why)
{
    struct root next;
    struct buf fresh = {0};
    bool follows = root_follow(&next, &stored->newest, file, NULL) == ERR_OK;
    enum err e = follows ? chain_append(&fresh, buf_bytes(chain), file) : chain_begin(&fresh, file);
    if (e != ERR_OK)
        return e;
    if (!follows)
        buf_addf(why,
                 "root.trust holds a root that does not follow the one that was trusted until now (epoch "
                 "%llu): it was put "
                 "there by hand, and is believed",
                 (unsigned long long)stored->newest.epoch);
    buf_fini(chain);
    *chain = fresh;
    return ERR_OK;
}

/* The stored chain and the file, made one. */
static enum err reconcile(struct buf *chain, struct bytes file, const struct root *file_root, struct buf *why)
{
    struct chain c;
    struct refusal r = {0};
    if (chain->len == 0)
        return chain_begin(chain, file);
    enum err e = chain_open(&c, buf_bytes(chain), NULL, &r);
    if (e == ERR_NOMEM)
        return e;
    if (e != ERR_OK) {
        buf_addf(why, "the stored chain of roots is not sound (%s: %s); move the state away and start again",
                 r.field, r.reason);
        return ERR_DAMAGED;
    }
    struct hash h = root_hash(file);
    if (chain_has(&c, &h))
        return ERR_OK;
    if (file_root->epoch > c.newest.epoch)
        return begin_anew(chain, &c, file, why);
    buf_addf(why,
             "root.trust (epoch %llu) is not of the chain of roots that this agent has followed to epoch "
             "%llu; restore the "
             "file, or move the whole folder away and enrol anew",
             (unsigned long long)file_root->epoch, (unsigned long long)c.newest.epoch);
    return ERR_CONFLICT;
}

static enum err write_newest(const char *path, struct bytes chain, struct bytes file, struct buf *why)
{
    struct chain c;
    enum err e = chain_open(&c, chain, NULL, NULL);
    if (e != ERR_OK || bytes_eq(c.envelope[c.count - 1], file))
        return e;
    return file_write(path, c.envelope[c.count - 1], 0644, true, why);
}

enum err anchor_refresh(struct store *s, const char *folder, struct buf *why)
{
    char path[4096];
    struct buf file = {0}, chain = {0}, why_not = {0};
    struct root root;
    snprintf(path, sizeof path, "%s/root.trust", folder);
    enum err e = file_read(&file, path, ROOT_BYTES_MAX, &why_not);
    if (e == ERR_OK)
        e = root_open(&root, buf_bytes(&file));
    bool readable = e == ERR_OK; /* what is not is named by who needs it */
    if (readable)
        e = store_fact_get(s, "roots", &chain);
    if (readable && e == ERR_OK && chain.len > 0) {
        e = reconcile(&chain, buf_bytes(&file), &root, why);
        if (e == ERR_OK)
            e = write_newest(path, buf_bytes(&chain), buf_bytes(&file), why);
    }
    buf_fini(&file);
    buf_fini(&chain);
    buf_fini(&why_not);
    return readable ? e : ERR_OK;
}

/* What a token has brought goes behind the stored chain, if it follows. */
static enum err add_walked(struct buf *chain, struct bytes walked)
{
    struct chain ours, theirs;
    struct buf longer = {0};
    if (walked.len == 0 || chain->len == 0)
        return ERR_OK;
    enum err e = chain_open(&ours, buf_bytes(chain), NULL, NULL);
    struct hash newest = root_hash(e == ERR_OK ? ours.envelope[ours.count - 1] : walked);
    if (e != ERR_OK || chain_open(&theirs, walked, &newest, NULL) != ERR_OK)
        return e == ERR_NOMEM ? e : ERR_OK; /* reconcile() says what is wrong with ours */
    e = merge(&longer, &ours, &theirs);
    if (e != ERR_OK) {
        buf_fini(&longer);
        return e;
    }
    buf_fini(chain);
    *chain = longer;
    return ERR_OK;
}

static enum err use_newest(struct anchor *a, struct trust **trust)
{
    struct chain c;
    struct trust *fresh = NULL;
    enum err e = chain_open(&c, buf_bytes(&a->chain), NULL, NULL);
    if (e == ERR_OK)
        e = trust_new(&fresh, c.envelope[c.count - 1], trust_revoked(*trust));
    if (e != ERR_OK)
        return e;
    note(a, &c);
    trust_unref(*trust);
    *trust = fresh;
    return ERR_OK;
}

enum err anchor_init(struct anchor *a, struct store *s, struct bytes root_file, struct bytes walked,
                     struct trust **trust, struct metrics *m, struct buf *why)
{
    *a = (struct anchor){.metrics = m};
    enum err e = store_fact_get(s, "roots", &a->chain);
    struct hash stored = hash_of(buf_bytes(&a->chain));
    if (e == ERR_OK)
        e = add_walked(&a->chain, walked);
    if (e == ERR_OK)
        e = reconcile(&a->chain, root_file, trust_root(*trust), why);
    struct hash now = hash_of(buf_bytes(&a->chain));
    if (e == ERR_OK && !hash_eq(&stored, &now)) /* what the file says, it says again at the next start */
        e = store_fact_put(s, "roots", buf_bytes(&a->chain), 0);
    return e == ERR_OK ? use_newest(a, trust) : e;
}

void anchor_fini(struct anchor *a)
{
    buf_fini(&a->chain);
    buf_fini(&a->next.chain);
    trust_unref(a->next.trust);
}

/* -- offers ------------------------------------------------------------------------------------ */

static enum err refuse(struct anchor *a, enum err e, const struct refusal *r, struct buf *why)
{
    static const char *const reason[] = {
        [ERR_MALFORMED] = "malformed", [ERR_AUTH] = "signer",   [ERR_FOREIGN] = "mesh",
        [ERR_STALE] = "epoch",         [ERR_NOT_FOUND] = "gap", [ERR_CONFLICT] = "fork",
    };
    const char *text = (size_t)e < sizeof reason / sizeof *reason && reason[e] ? reason[e] : "other";
    count_refusal(a, text);
    if (e == ERR_STALE)
        buf_addf(why, "the root in force is of epoch %llu, and only the next one can follow it",
                 (unsigned long long)a->epoch);
    else if (e == ERR_NOT_FOUND)
        buf_addf(why, "the root in force is of epoch %llu: publish the roots in between first",
                 (unsigned long long)a->epoch);
    else
        buf_addf(why, "the root is refused: %s (%s: %s)", err_text(e), r->field ? r->field : "root",
                 r->reason ? r->reason : err_text(e));
    return e;
}

/* A chain without our newest root: an older state of ours, strangers', or a branch that begins at a root we passed. */
static enum err judge_other(struct anchor *a, struct bytes in)
{
    const struct chain *ours = &a->opened;
    struct chain theirs;
    struct hash first = root_hash(ours->envelope[0]);
    if (chain_open(&theirs, in, &first, NULL) != ERR_OK)
        return ERR_CONFLICT;
    struct hash newest = root_hash(theirs.envelope[theirs.count - 1]);
    if (chain_has(ours, &newest))
        return ERR_STALE;
    if (!a->forked)
        log_error("trust",
                  "another branch of the chain of roots was offered, validly signed by the keys of a root "
                  "that is past: "
                  "this agent stays with its own (epoch %llu); were old root keys stolen?",
                  (unsigned long long)a->epoch);
    a->forked = true;
    return ERR_CONFLICT;
}

/* With our newest root in it: *fresh gets all that both hold, if that is more than we have. */
static enum err judge_same(const struct anchor *a, const struct chain *theirs, struct buf *fresh)
{
    const struct chain *ours = &a->opened;
    if (hash_eq(&theirs->hash, &a->hash))
        return ERR_EXISTS;
    bool earlier = theirs->first_epoch < ours->first_epoch;
    bool later = theirs->newest.epoch > ours->newest.epoch;
    return earlier || later ? merge(fresh, ours, theirs) : ERR_EXISTS;
}

/* Appends to *fresh the chain that is to follow ours. */
static enum err judge(struct anchor *a, struct bytes in, struct buf *fresh, struct refusal *r)
{
    struct chain theirs;
    enum err e = chain_open(&theirs, in, &a->newest, r);
    return e == ERR_OK ? judge_same(a, &theirs, fresh) : e == ERR_CONFLICT ? judge_other(a, in) : e;
}

/* Verified once more as it will be stored. */
static enum err store_it(struct anchor *a, struct store *s, const struct trust *now, struct buf *fresh_take,
                         uint64_t ticket, struct buf *why)
{
    struct chain c;
    struct trust *t = NULL;
    enum err e = chain_open(&c, buf_bytes(fresh_take), &a->newest, NULL);
    if (e == ERR_OK)
        e = trust_new(&t, c.envelope[c.count - 1], trust_revoked(now));
    if (e == ERR_OK)
        e = store_fact_put(s, "roots", buf_bytes(fresh_take), ticket);
    if (e != ERR_OK) {
        buf_addf(why, "the root cannot be stored: %s; the one in force stays", err_text(e));
        trust_unref(t);
        buf_fini(fresh_take);
        return e;
    }
    a->next.busy = true;
    a->next.trust = t;
    a->next.chain = *fresh_take;
    return ERR_OK;
}

static enum err say_same(const struct anchor *a, struct buf *why)
{
    buf_addf(why, "the root of epoch %llu is in force already", (unsigned long long)a->epoch);
    return ERR_EXISTS;
}

static bool is_busy(const struct anchor *a, struct buf *why)
{
    if (a->next.busy)
        buf_add_str(why, "another root is just being stored; try again");
    return a->next.busy;
}

enum err anchor_offer(struct anchor *a, struct store *s, const struct trust *now, struct bytes chain,
                      uint64_t ticket, struct buf *why)
{
    struct buf fresh = {0};
    struct refusal r = {0};
    if (is_busy(a, why))
        return ERR_AGAIN;
    enum err e = judge(a, chain, &fresh, &r);
    if (e == ERR_OK)
        return store_it(a, s, now, &fresh, ticket, why);
    buf_fini(&fresh);
    return e == ERR_EXISTS ? say_same(a, why) : refuse(a, e, &r, why);
}

enum err anchor_offer_root(struct anchor *a, struct store *s, const struct trust *now, struct bytes root,
                           uint64_t ticket, struct buf *why)
{
    struct buf longer = {0};
    struct root next;
    struct refusal r = {0};
    struct hash h = root_hash(root);
    if (is_busy(a, why))
        return ERR_AGAIN;
    if (hash_eq(&h, &a->newest))
        return say_same(a, why);
    enum err e = root_follow(&next, trust_root(now), root, &r);
    if (e != ERR_OK)
        return refuse(a, e, &r, why);
    e = chain_append(&longer, buf_bytes(&a->chain), root);
    if (e != ERR_OK) {
        buf_fini(&longer);
        buf_add_str(why, e == ERR_LIMIT ? "the chain of roots is full: a new mesh is needed" : err_text(e));
        return e;
    }
    return store_it(a, s, now, &longer, ticket, why);
}

struct trust *anchor_confirmed(struct anchor *a, enum err outcome)
{
    struct chain c;
    struct trust *t = a->next.trust;
    a->next.busy = false;
    a->next.trust = NULL;
    if (outcome != ERR_OK || chain_open(&c, buf_bytes(&a->next.chain), NULL, NULL) != ERR_OK) {
        buf_fini(&a->next.chain);
        trust_unref(t);
        return NULL;
    }
    buf_fini(&a->chain);
    a->chain = a->next.chain;
    a->next.chain = (struct buf){0};
    note(a, &c);
    return t;
}
