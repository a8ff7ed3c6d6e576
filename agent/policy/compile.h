/* Between the files that turn the tree into a compiled policy. Each reads one section, complains about
 * everything wrong in it, and goes on; whether the policy is good is decided once, at the end, by the number
 * of complaints. */
#ifndef POLICY_COMPILE_H
#define POLICY_COMPILE_H

#include "policy/compiled.h"
#include "trust/codec.h"

struct compile {
    struct policy *p;
    struct complaints *c;
    enum unmatched unmatched;        /* `defaults` */
    struct policy_timeouts timeouts; /* `defaults` */
};

void compile_services(struct compile *k, const struct yaml_node *services);
void compile_routes(struct compile *k, struct policy_service *s, const struct yaml_node *routes);
void compile_intentions(struct compile *k, const struct yaml_node *intentions);
void compile_tests(struct compile *k, const struct yaml_node *tests);
void compile_revoke(struct compile *k, const struct yaml_node *list);

/* Shared readers. */
void compile_unmatched(struct compile *k, const struct yaml_node *n, enum unmatched *out);
/* `connect` and `request`; the latter not where `is_tcp`. */
void compile_timeouts(struct compile *k, const struct yaml_node *n, bool is_tcp, struct policy_timeouts *out);
void compile_encryption(struct compile *k, const struct yaml_node *n);
/* The name of a route, rule or subset: letters, digits, and . _ - inside. It is shown in answers, logs and
 * metrics. NULL if bad. */
const char *compile_word(struct compile *k, const struct yaml_node *n, const char *what);
/* A service name as DNS allows it. Empty if bad. */
struct bytes compile_service_name(struct compile *k, const struct yaml_node *n, const char *what);
/* The service named here; complains, with a suggestion, if there is none. */
const struct policy_service *compile_service_ref(struct compile *k, const struct yaml_node *n);
const struct policy_subset *compile_subset_ref(struct compile *k, const struct policy_service *s,
                                               const struct yaml_node *n);
/* An HTTP method; its bit is given out on first use. 0 if bad. */
uint64_t compile_method(struct compile *k, const struct yaml_node *n);

/* Keys in force, and keys that are of the language but not yet in force: neither of the two is unknown. The
 * last says why, if it is not simply for later. Complains; true if `map` is a map. */
bool schema_keys(const struct yaml_node *map, const char *const *in_force, const char *const *later,
                 struct complaints *c);
/* The same for the value of an enumeration. */
bool schema_word(const struct yaml_node *n, const char *const *in_force, const char *const *later,
                 size_t *index, struct complaints *c);

#endif
