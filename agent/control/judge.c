/* Who is still believed, when what we believe by has changed: another root, or a key revoked.
 *
 * Nobody is asked and nothing is waited for: in the turn in which the trust changes every member's record is judged again,
 * the workers get a view that leaves out whoever falls and cut their links (ADVERSARY G35, P33). Two seconds later, in which
 * he can still fetch the policy that did it and so learn that he is out, he is gone from gossip, sessions and store. A
 * record that comes later finds the key revoked, whatever number it carries: in a race of the two the revocation wins
 * (G36). Who was away all that time is told in a word when it knocks on the bulk lane. */
#include "control/inner.h"
#include "observe/log.h"

enum {
    HEARSAY_MS =
        600 * 1000, /* how long a member's word that we are out is shown, and whom we met in its place */
    FAREWELL_MS =
        2000, /* how long those who were cut may still fetch the policy that did it (G35: within 5 s) */
    JUDGE_RETRY_MS = 1000, /* after there was no memory for it */
};

/* -- why ---------------------------------------------------------------------------------------- */

/* Which revoked key a credential stands on; NULL: none. */
static const struct node_id *revoked_key_of(const struct control *c, const struct credential *k,
                                            struct node_id *space)
{
    struct envelope e;
    const struct revoked *set = c->revocations.set;
    if (revoked_has(set, &k->id))
        return &k->id;
    if (credential_token(k, space) && revoked_has(set, space))
        return space;
    if (envelope_parse(&e, k->grant.len ? k->grant : k->bytes) != ERR_OK)
        return NULL;
    for (size_t i = 0; i < e.sig_count; i++) {
        memcpy(space->b, e.sig[i].key, sizeof space->b);
        if (revoked_has(set, space))
            return space;
    }
    return NULL;
}

void control_say_revoked(const struct control *c, const struct credential *k, struct buf *out)
{
    struct node_id space;
    char text[NODE_ID_TEXT_MAX];
    const struct node_id *key = revoked_key_of(c, k, &space);
    if (!key) {
        buf_addf(out, "no key of today's root of trust (epoch %llu) vouches for it",
                 (unsigned long long)c->anchor.epoch);
        return;
    }
    const char *whose = node_id_eq(key, &k->id) ? "its own key"
                        : k->grant.len          ? "the key of its token, or of who made it,"
                                                : "the enrol key that signed for it,";
    const struct policy_revocation *line =
        c->enforced.policy ? policy_revocation(c->enforced.policy, key) : NULL;
    buf_addf(out, "%s %s is revoked", whose, node_id_text(key, text));
    if (line)
        buf_addf(out, " by policy version %llu: %s", (unsigned long long)c->enforced.version, line->reason);
    else
        buf_add_str(out, " by an earlier policy, which is never taken back");
}

/* -- ourselves ---------------------------------------------------------------------------------- */

/* We say nothing for our services any more and take nothing for them: the view holds neither them nor anybody else. */
void control_judge_own(struct control *c)
{
    struct buf why = {0};
    enum err e = trust_recheck(c->identity.trust, &c->identity.credential_open, control_wall(c));
    bool is_out = e != ERR_OK && e != ERR_EXPIRED && e != ERR_NOMEM;
    if (is_out && !c->is_revoked) {
        control_say_revoked(c, &c->identity.credential_open, &why);
        log_error("trust",
                  "THIS HOST IS NO MEMBER ANY MORE: %s. It takes and sends no more traffic. If that is a "
                  "mistake, enrol "
                  "it anew: with a new token, and with a new --data folder if it was its own key",
                  buf_str(&why));
    } else if (!is_out && c->is_revoked) {
        log_info("trust", "this host is a member again, with its new credential");
    }
    c->is_revoked = is_out;
    buf_fini(&why);
}

/* -- the others --------------------------------------------------------------------------------- */

static bool is_fallen(enum err judged)
{
    return judged != ERR_OK && judged != ERR_EXPIRED; /* what has expired is cut_expired()'s */
}

/* `k` was judged: gossip may hold a newer record by now, with another credential. */
static void say_fallen(struct control *c, const struct member *m, const struct credential *k)
{
    struct record r;
    control_record_of(c, m, &r);
    r.credential = *k;
    char text[NODE_ID_TEXT_MAX];
    struct node_id key;
    struct buf why = {0};
    control_say_revoked(c, k, &why);
    bool by_key = revoked_key_of(c, k, &key) != NULL;
    log_warn("trust", "member %.*s (%s) is %s and cut: %s", (int)k->node.len, (const char *)k->node.at,
             node_id_text(&m->id, text), by_key ? "revoked" : "a member no more", buf_str(&why));
    fallen_note(&c->fallen, &r, buf_str(&why), control_wall(c));
    metric_add(control_counter(c, CONTROL_CUT), 1);
    buf_fini(&why);
}

/* From here on nothing is routed to them and nothing of theirs is believed. They are told by which root and policy it was. */
static size_t mark_fallen(struct control *c)
{
    size_t fallen = 0;
    for (struct member *m = c->roster.by_id; m; m = m->hh.next) {
        struct credential k;
        vouched_open(m->record->vouched, &k);
        enum err e = trust_recheck(c->identity.trust, &k, control_wall(c));
        if (m->is_revoked || node_id_eq(&m->id, &c->identity.sign.pub) || !is_fallen(e))
            continue;
        m->is_revoked = true;
        say_fallen(c, m, &k);
        gossip_doc_tell(c->gossip, DOC_ROOTS, &m->id, c->now);
        gossip_doc_tell(c->gossip, DOC_POLICY, &m->id, c->now);
        fallen++;
    }
    fallen_save(&c->fallen, c->store);
    return fallen;
}

/* Their ids first: gossip may not be changed while it is walked. False: no memory, somebody may be left. */
static bool evict_members(struct control *c)
{
    struct buf fallen = {0};
    struct gossip_member m;
    struct record r;
    for (size_t cursor = 0; gossip_member_next(c->gossip, &cursor, &m);)
        if (!node_id_eq(&m.id, &c->identity.sign.pub) &&
            is_fallen(trust_cache_record(c->verified, m.record, control_wall(c), &r)))
            buf_add(&fallen, m.id.b, sizeof m.id.b);
    for (size_t at = 0; at + ID_BYTES <= fallen.len; at += ID_BYTES) {
        struct node_id id;
        memcpy(id.b, fallen.at + at, sizeof id.b);
        gossip_evict(c->gossip, &id, c->now);
        control_forget_member(c, &id);
    }
    bool is_done = buf_ok(&fallen);
    buf_fini(&fallen);
    return is_done;
}

/* Sessions and links are with whoever has shown a credential, member or not. Who is no member yet shows it again. */
static bool is_member(void *arg, const struct node_id *id)
{
    struct control *c = arg;
    return roster_find(&c->roster, id) != NULL;
}

static void evict(struct control *c)
{
    trust_unref(c->farewell);
    c->farewell = NULL;
    c->evict_at = evict_members(c) ? NEVER : c->now + JUDGE_RETRY_MS;
    udp_retain(c->udp, is_member, c);
    bulk_retain(c->bulk, is_member, c);
}

void control_take_trust(struct control *c, struct trust *trust_take)
{
    struct trust *before = c->identity.trust;
    c->identity.trust = trust_take;
    trust_cache_set(c->verified, trust_take);
    control_judge_own(c);
    if (c->gossip && mark_fallen(c) > 0) {
        trust_unref(c->farewell);
        c->farewell = trust_ref(before);
        c->evict_at = c->now + FAREWELL_MS;
    } else if (c->gossip && !c->farewell) {
        evict(c);
    }
    trust_unref(before);
    c->view_dirty = true;
    c->view_pace = (struct pace){0}; /* at once */
}

/* Whom we just cut may fetch the policy that did it: the gossip lane stays open to members of before until the farewell
 * is over, so that they hear it from somebody. */
bool control_is_farewell(const struct control *c, struct bytes credential, struct credential *out)
{
    return c->farewell && trust_credential(c->farewell, credential, control_wall(c), out) == ERR_OK &&
           roster_find(&c->roster, &out->id);
}

/* -- who comes back ----------------------------------------------------------------------------- */

/* But for the revocation, or the rotation, it would be a member: only who has been one is told, and only of its own credential. The
 * reason is our word; the policy itself is not for those who are out. */
static bool was_member(const struct control *c, struct bytes credential, enum err refused,
                       struct credential *open, uint64_t *epoch)
{
    struct trust *without;
    if (refused == ERR_AUTH)
        return credential_was_vouched(&c->anchor.opened, credential, control_wall(c), open, epoch);
    if (refused != ERR_REVOKED || trust_revoking(&without, c->identity.trust, NULL) != ERR_OK)
        return false;
    bool was = trust_credential(without, credential, control_wall(c), open) == ERR_OK;
    trust_unref(without);
    return was;
}

bool control_tell_refused(void *arg, struct bytes credential, const uint8_t noise_key[32], enum err refused,
                          struct buf *words)
{
    struct control *c = arg;
    struct credential open;
    uint64_t epoch = 0;
    bool is_theirs = was_member(c, credential, refused, &open, &epoch) &&
                     memcmp(open.noise_key, noise_key, sizeof open.noise_key) == 0;
    if (is_theirs)
        control_say_revoked(c, &open, words);
    if (is_theirs && epoch > 0)
        buf_addf(words,
                 "; the last that did was of epoch %llu: give it a token that brings the roots since (token "
                 "create --roots)",
                 (unsigned long long)epoch);
    return is_theirs;
}

/* One member may be lying, so nothing is done but to show it. */
void control_on_bulk_refused(void *arg, struct bytes credential, struct bytes words)
{
    struct control *c = arg;
    struct hearsay *h = &c->refused_by;
    struct credential by;
    char id[NODE_ID_TEXT_MAX];
    bool is_news = !control_refused_by(c) || !bytes_eq_str(words, h->words);
    credential_reopen(&by, credential);
    *h = (struct hearsay){.at = c->now, .by = by.id};
    snprintf(h->name, sizeof h->name, "%.*s", (int)by.node.len, (const char *)by.node.at);
    snprintf(h->words, sizeof h->words, "%.*s", (int)words.len, (const char *)words.at);
    if (is_news)
        log_error("trust", "member %s (%s) refuses this host: %s", h->name, node_id_text(&h->by, id),
                  h->words);
}

const struct hearsay *control_refused_by(const struct control *c)
{
    const struct hearsay *h = &c->refused_by;
    return h->at == 0 || c->now >= h->at + HEARSAY_MS ? NULL : h;
}

void control_on_bulk_stranger(void *arg, const struct addr *at)
{
    struct control *c = arg;
    char text[ADDR_TEXT_MAX];
    if (!control_stranger(c) || !addr_eq(&c->stranger.addr, at))
        log_warn("trust",
                 "the agent at %s shows a credential that no key of this host's root of trust (epoch %llu) "
                 "vouches for: it is of another mesh, or the root was rotated while this host was away",
                 addr_text(at, text), (unsigned long long)c->anchor.epoch);
    c->stranger = (struct stranger){c->now, *at};
}

const struct addr *control_stranger(const struct control *c)
{
    return c->stranger.at > 0 && c->now < c->stranger.at + HEARSAY_MS ? &c->stranger.addr : NULL;
}

/* -- revocations -------------------------------------------------------------------------------- */

void control_take_revocations(struct control *c)
{
    bool news = false;
    struct trust *t = NULL;
    enum err e = revocations_take(&c->revocations, c->enforced.policy, c->store, control_wall(c), &news);
    revocations_save(&c->revocations, c->store, TICKET_REVOKED);
    if (e == ERR_OK && c->revocations.set != trust_revoked(c->identity.trust))
        e = trust_revoking(&t, c->identity.trust, c->revocations.set);
    c->rejudge_at = e == ERR_OK ? NEVER : c->now + JUDGE_RETRY_MS;
    if (e != ERR_OK)
        log_error("trust", "what the policy revokes is not in force yet: %s; trying again", err_text(e));
    else if (t)
        control_take_trust(c, t);
}

void control_judge_step(struct control *c)
{
    if (c->now >= c->rejudge_at)
        control_take_revocations(c);
    if (c->now >= c->evict_at)
        evict(c);
}
