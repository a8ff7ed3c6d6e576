#include "control/roster.h"

enum err claim_of_record(const struct trust *t, struct bytes bytes, wall_s now, struct gossip_claim *out)
{
    struct record r;
    enum err e = trust_record(t, bytes, now, &r);
    if (e != ERR_OK)
        return e;
    *out = (struct gossip_claim){
        .id = r.credential.id,
        .incarnation = r.incarnation,
        .version = r.version,
        .left = r.left,
        .addr_count = (uint8_t)r.addr_count,
        .hash = hash_of(bytes),
    };
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

static enum err replace_record(struct member *mb, const struct trust *t, struct bytes bytes, wall_s now)
{
    struct buf copy = {0};
    struct record r;
    buf_add_bytes(&copy, bytes);
    enum err e = buf_ok(&copy) ? trust_record(t, buf_bytes(&copy), now, &r) : ERR_NOMEM;
    if (e != ERR_OK) {
        buf_fini(&copy);
        return e;
    }
    buf_fini(&mb->bytes);
    mb->bytes = copy;
    mb->record = r;
    return ERR_OK;
}

enum err roster_apply(struct roster *m, const struct trust *t, const struct gossip_event *ev,
                      const struct addr *addr, wall_s now)
{
    struct member *mb = roster_find(m, &ev->id);
    bool is_new = !mb;
    if (is_new && !(mb = calloc(1, sizeof *mb)))
        return ERR_NOMEM;
    if (is_new || ev->record_changed) {
        enum err e = replace_record(mb, t, ev->record, now);
        if (e != ERR_OK) {
            if (is_new)
                free(mb);
            return e;
        }
    }
    mb->state = ev->after;
    mb->addr = *addr;
    if (is_new) {
        mb->id = ev->id;
        HASH_ADD(hh, m->by_id, id, sizeof mb->id, mb);
    }
    return ERR_OK;
}

static void free_member(struct roster *m, struct member *mb)
{
    HASH_DEL(m->by_id, mb);
    buf_fini(&mb->bytes);
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

bool member_is_live(const struct member *m)
{
    return m->state == GOSSIP_ALIVE || m->state == GOSSIP_SUSPECT;
}

/* uthash iterates in the order of addition, so the first living holder found is the first seen. */
bool roster_name_is_taken(const struct roster *m, const struct member *of)
{
    for (const struct member *mb = m->by_id; mb && mb != of; mb = mb->hh.next)
        if (member_is_live(mb) && bytes_eq(mb->record.credential.node, of->record.credential.node))
            return true;
    return false;
}
