/* Between the files that compare two policies. */
#ifndef POLICY_DIFFER_H
#define POLICY_DIFFER_H

#include "policy/compiled.h"
#include "policy/diff.h"
#include "policy/words.h"

struct diff {
    struct arena arena;
    struct buf list; /* of struct diff_one */
    const struct policy *a, *b;
    size_t classes_left; /* DIFF_CLASSES_MAX */
    struct regex_budget
        regex_budget; /* for whether routes have requests in common; then they are taken to have */
};
/* Texts in it must live as long as the diff. */
void differ_add(struct diff *d, struct diff_one one);
/* Notes a difference if the texts differ; copies them. An empty text: it is not there. */
void differ_texts(struct diff *d, struct diff_one about, struct buf *before, struct buf *after);
/* The keys of two sets of words. `but_a`, `but_b` (may be NULL): what is equal to these on both sides is not told. */
void differ_words(struct diff *d, struct diff_one about, const struct policy_words *before,
                  const struct policy_words *after, const struct policy_words *but_a,
                  const struct policy_words *but_b);
/* Who may call the service; one of both may be NULL. */
void differ_access(struct diff *d, const struct policy_service *before, const struct policy_service *after);
/* Everything else about a service. */
void differ_traffic(struct diff *d, const struct policy_service *before, const struct policy_service *after);

#endif
