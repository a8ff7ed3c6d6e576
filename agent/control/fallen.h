/* Who was cut because a key that it stands on was revoked: the newest of them, for `members --revoked` and `why`. The members
 * themselves are forgotten two seconds later (judge.c), and the question why a host is gone comes after that, also after this
 * agent has started again: kept in the store as the fact "fallen". Belongs to the control loop. */
#ifndef CONTROL_FALLEN_H
#define CONTROL_FALLEN_H

#include "store/store.h"
#include "trust/trust.h"

enum {
    FALLEN_MAX = 32,      /* the oldest gives way */
    FALLEN_WHY_MAX = 400, /* a key, the policy's version, its reason */
};
struct fallen_one {
    struct node_id id;
    char name[NODE_NAME_MAX + 1];
    char why[FALLEN_WHY_MAX + 1]; /* "its own key ed25519:... is revoked by policy version 43: lost host" */
    wall_s at;
    size_t service_count;
    char service[RECORD_SERVICES_MAX][SERVICE_NAME_MAX + 1]; /* that it offered */
};
struct fallen {   /* zero-initialised: nobody */
    size_t noted; /* in all; the place of the next one, modulo FALLEN_MAX */
    bool is_unsaved;
    struct fallen_one one[FALLEN_MAX];
};
/* What was kept. What cannot be read, as of a later version, is nobody. ERR_IO, ERR_DAMAGED, ERR_NOMEM: the store's. */
must_check enum err fallen_load(struct fallen *f, struct store *s);
/* Queues it if there is news; what the store does not take is tried again at the next call. */
void fallen_save(struct fallen *f, struct store *s);
void fallen_note(struct fallen *f, const struct record *r, const char *why, wall_s at);
size_t fallen_count(const struct fallen *f);
/* The newest is 0. */
const struct fallen_one *fallen_at(const struct fallen *f, size_t i);
bool fallen_offered(const struct fallen_one *one, struct bytes service);

#endif
