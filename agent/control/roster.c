#include "control/roster.h"

struct namesakes {
    UT_hash_handle hh;
    struct list members;
    char name[NODE_NAME_MAX];
};

enum err claim_of_record(struct trust_cache *t, struct bytes bytes, wall_s now, struct gossip_claim *out)
{
    struct record r;
    enum err e = trust_cache_record(t, bytes, now, &r);
    if (e != ERR_OK)
        return e;
    *out = (struct gossip_claim){
        .id = r.credential.id,
        .incarnation = r.incarnation,
        .version = r.version,
        .left = r.left,
        .addr_count = (uint8_t)r.addr_count,
        .hash = r.hash,
        .protocol_max = (uint8_t)(r.protocol_max < UINT8_MAX ? r.protocol_max : UINT8_MAX),
    };
    static_assert(sizeof out->coordinate.b == sizeof r.coordinate, "the record's is gossip's");
    memcpy(out->coordinate.b, r.coordinate, sizeof r.coordinate);
    for (size_t i = 0; i < r.addr_count; i++)
        out->addr[i] = r.addr[i];
    return ERR_OK;
}

struct member *roster_find(const struct roster *m, const struct node_id *id)
{
    struct member *found;
    HASH_FIND(hh, m->by_id, id, sizeof *id, found);
    return found;
}

/* -- names ------------------------------------------------------------------------------------- */

static struct namesakes *find_or_add_name(struct roster *m, struct bytes name)
{
    struct namesakes *n;
    HASH_FIND(hh, m->by_name, name.at, name.len, n);
    if (n || !(n = calloc(1, sizeof *n)))
        return n;
    list_init(&n->members);
    memcpy(n->name, name.at, name.len);
    HASH_ADD(hh, m->by_name, name, name.len, n);
    return n;
}

static void drop_name_if_unused(struct roster *m, struct namesakes *n)
{
    if (!n || !list_is_empty(&n->members))
        return;
    HASH_DEL(m->by_name, n);
    free(n);
}

/* Whether a claim made now goes before one that is there. A joiner, and one that has just started, hears of both within moments and
 * cannot know who was first: there the older credential is. */
static bool goes_before(const struct member *mb, const struct member *there)
{
    wall_s ours = vouched_brief(mb->record->vouched)->not_before,
           theirs = vouched_brief(there->record->vouched)->not_before;
    if (mb->claimed_at - there->claimed_at > ROSTER_TOGETHER_S || !member_is_live(mb))
        return false;
    return ours < theirs || (ours == theirs && memcmp(mb->id.b, there->id.b, sizeof mb->id.b) < 0);
}

/* Into the queue for this name, at its end but for goes_before(). */
static void claim_name(struct roster *m, struct member *mb, struct namesakes *n, wall_s now)
{
    struct namesakes *before = mb->namesakes;
    if (before)
        list_remove(&mb->same_name);
    mb->namesakes = n;
    mb->claimed_at = now;
    struct list_node *after = n->members.head.prev;
    while (after != &n->members.head && goes_before(mb, list_entry(after, struct member, same_name)))
        after = after->prev;
    list_insert_after(after, &mb->same_name);
    if (before != n)
        drop_name_if_unused(m, before);
}

struct member *roster_name_holder(const struct member *of)
{
    list_each (struct member, mb, &of->namesakes->members, same_name) {
        if (member_is_live(mb))
            return mb;
    }
    return NULL;
}

void roster_namesakes_each(const struct member *of, void (*each)(void *arg, struct member *m), void *arg)
{
    list_each (struct member, mb, &of->namesakes->members, same_name) {
        each(arg, mb);
    }
}

bool roster_name_is_taken(const struct member *of)
{
    list_each (struct member, mb, &of->namesakes->members, same_name) {
        if (mb == of)
            break;
        if (member_is_live(mb))
            return true;
    }
    return false;
}

/* -- records and states ------------------------------------------------------------------------ */

/* A reference: that of before, if the credential is the same, as it is in most new records. */
static struct vouched *vouched_of(const struct member *mb, const struct credential *c)
{
    struct vouched *v = NULL;
    if (mb->record && bytes_eq(vouched_brief(mb->record->vouched)->bytes, c->bytes))
        return vouched_ref(mb->record->vouched);
    return vouched_new(&v, c) == ERR_OK ? v : NULL;
}

/* NULL: no memory. */
static struct view_record *keep_record(const struct member *mb, const struct record *r)
{
    struct view_record *kept = NULL;
    struct vouched *v = vouched_of(mb, &r->credential);
    enum err e = v ? view_record_new(&kept, r, v) : ERR_NOMEM;
    vouched_unref(v);
    return e == ERR_OK ? kept : NULL;
}

/* Takes the record over, and queues for its name if that is another than before. */
static enum err replace_record(struct roster *m, struct member *mb, struct trust_cache *t, struct bytes bytes,
                               wall_s now)
{
    struct record r;
    enum err e = trust_cache_record(t, bytes, now, &r);
    if (e != ERR_OK)
        return e;
    struct view_record *kept = keep_record(mb, &r);
    struct namesakes *n = kept ? find_or_add_name(m, r.credential.node) : NULL;
    if (!n) {
        view_record_unref(kept);
        return ERR_NOMEM;
    }
    view_record_unref(mb->record);
    mb->record = kept;
    mb->policy_hash = r.policy_hash;
    mb->home = r.addr[0];
    if (mb->namesakes != n)
        claim_name(m, mb, n, now);
    return ERR_OK;
}

static struct member *add_member(struct roster *m, struct trust_cache *t, const struct gossip_event *ev,
                                 wall_s now, enum err *e)
{
    struct member *mb = calloc(1, sizeof *mb);
    if (mb) {
        mb->id = ev->id;
        mb->state = ev->after;
    }
    *e = mb ? replace_record(m, mb, t, ev->record, now) : ERR_NOMEM;
    if (*e != ERR_OK) {
        free(mb);
        return NULL;
    }
    HASH_ADD(hh, m->by_id, id, sizeof mb->id, mb);
    return mb;
}

enum err roster_apply(struct roster *m, struct trust_cache *t, const struct gossip_event *ev,
                      const struct addr *addr, wall_s now)
{
    struct member *mb = roster_find(m, &ev->id);
    enum err e = ERR_OK;
    if (mb && ev->record_changed)
        e = replace_record(m, mb, t, ev->record, now);
    else if (!mb && !(mb = add_member(m, t, ev, now, &e)))
        return e;
    if (!member_is_live(
            mb)) /* who comes back comes after whoever came meanwhile, however old his credential */
        claim_name(m, mb, mb->namesakes, now);
    mb->state = ev->after;
    mb->is_degraded = ev->is_degraded;
    mb->is_quarantined = ev->is_quarantined;
    mb->addr = *addr;
    if (!member_is_live(mb)) /* its claim ends with its life */
        claim_name(m, mb, mb->namesakes, now);
    return e;
}

static void free_member(struct roster *m, struct member *mb)
{
    HASH_DEL(m->by_id, mb);
    list_remove(&mb->same_name);
    drop_name_if_unused(m, mb->namesakes);
    view_record_unref(mb->record);
    free(mb);
}

void roster_forget(struct roster *m, const struct node_id *id)
{
    struct member *mb = roster_find(m, id);
    if (mb)
        free_member(m, mb);
}

void roster_fini(struct roster *m)
{
    struct member *mb, *next;
    HASH_ITER (hh, m->by_id, mb, next) {
        free_member(m, mb);
    }
}

const char *member_state_text(const struct member *m)
{
    return m->state == GOSSIP_ALIVE && m->is_degraded ? "degraded" : gossip_state_text(m->state);
}

const char *member_text(const struct member *m, char out[MEMBER_TEXT_MAX])
{
    struct bytes node = member_name(m);
    char at[ADDR_TEXT_MAX];
    snprintf(out, MEMBER_TEXT_MAX, "%.*s (%s)", (int)node.len, (const char *)node.at,
             addr_text(&m->addr, at));
    return out;
}

bool member_is_live(const struct member *m)
{
    return m->state == GOSSIP_ALIVE || m->state == GOSSIP_SUSPECT;
}
