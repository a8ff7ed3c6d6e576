/* Paths in policy: always in the normal form that the mesh forwards (docs/policy.md), compared byte by byte.
 */
#ifndef POLICY_PATH_H
#define POLICY_PATH_H

#include "policy/arena.h"

/* NULL: `path` is as the mesh forwards it. Else what is wrong, for a complaint: a rule on a path that no
 * request can have would silently never match. */
const char *path_fault(struct bytes path);
/* The same as a regular expression: it fits what path_fault() has no fault with. */
extern const char path_normal_form[];
/* Is `path` equal to `prefix` or below it, by whole segments? A prefix stands without its trailing '/'; the
 * empty one is above all. */
bool path_is_under(struct bytes path, struct bytes prefix);

/* Many paths, exact or with all that is below them. */
struct path_set {
    size_t exact_count, prefix_count, prefix_longest;
    const struct bytes *exact, *prefix; /* each sorted by length, then bytes */
};
/* Keeps slices of `exact` and `prefix`, in arrays of its own. False: no memory. */
bool path_set_build(struct path_set *s, struct arena *a, const struct bytes *exact, size_t exact_count,
                    const struct bytes *prefix, size_t prefix_count);
bool path_set_has(const struct path_set *s, struct bytes path);
/* Is every path of `b` in `a`? The empty set stands for all paths, on both sides. */
bool path_set_covers(const struct path_set *a, const struct path_set *b);
static inline bool path_set_is_empty(const struct path_set *s)
{
    return s->exact_count + s->prefix_count == 0;
}

#endif
