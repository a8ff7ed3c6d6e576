/* `starling why`: what would become of a request at this host. It reads the question as a client's request is read
 * (h1_reader) and asks the functions that decide requests (exchange/decide.h, exchange/aim.h), by the view that
 * the workers hold: what is said here is what happens. Pure: no I/O, no clock, no state. */
#ifndef ADMIN_WHY_H
#define ADMIN_WHY_H

#include <jansson.h>

#include "exchange/decide.h"
#include "policy/place.h"

/* Who answers: nothing is kept. At an agent `own` is its host's credential: what is asked here is asked with it. Offline
 * there is a policy and nothing else: the caller is believed, and no instance is known. */
struct why_at {
    const struct view *view; /* offline: of a builder without members */
    bool offline;
    const struct credential *own;
    const char *node;              /* this host's name, for its own endpoints */
    const struct places *places;   /* of the view's policy; NULL: nothing is said of places */
    wall_s now;                    /* for the ends of faults */
    struct traffic_shared *shared; /* what the workers have learned together; NULL: nothing */
    mono_ms mono;                  /* now, for the ends of what was learned */
};

/* `question`: {"from", "to", "method", "path", "query", "headers": {}}. Returns a new object with all members that
 * docs/commands.md lists for `why` but "policy". NULL: `told` says why the question cannot be answered; when it
 * stays empty, there was no memory. */
json_t *why_answer(const struct why_at *at, const json_t *question, struct buf *told);

/* For other reports, too. */
json_t *json_of_text(struct bytes b);
json_t *json_of_labels(struct label_list l);
json_t *json_of_address(const struct addr *a);

#endif
