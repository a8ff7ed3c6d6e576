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
    const struct policy_source *src;
    size_t src_count;
    size_t before;                        /* complaints that were there already */
    const char *part[POLICY_SOURCES_MAX]; /* names of the parts; NULL: no part */
    struct policy_settings defaults;
    bool defaults_say_try,
        service_says_try; /* `timeouts.perTry`; for the service being read, or for it by `defaults` */
    struct regex_budget regex_budget; /* for the patterns of all texts */
};

/* -- keys as tables: what may stand in a map of settings, and where its value goes ------------------ */

enum key_type {
    TYPE_DURATION, /* uint64_t ms */
    TYPE_DAYS,     /* the same, and days */
    TYPE_NUMBER,   /* uint32_t or uint64_t, min to max */
    TYPE_SHARE,    /* uint32_t ppm, at most max percent */
    TYPE_RISE,     /* the same, written with a plus */
    TYPE_SIZE,     /* uint64_t bytes, min to max */
    TYPE_WORD,     /* an enum: the place in `words` */
    TYPE_BITS,     /* unsigned: a list of `words` */
    TYPE_MAP,      /* a map of its own, `keys` */
    TYPE_OWN,      /* `read` reads it, `write` writes it */
};
struct key {
    const char *name;
    enum key_type type;
    size_t at, width; /* of the field in the table's struct; a map's keys count from the same beginning */
    uint64_t min, max;
    const char *const *words;
    const struct key *keys; /* ends with a NULL name */
    void (*read)(struct compile *k, const struct yaml_node *n, void *field);
    void (*write)(struct buf *out, const void *field); /* its inverse, for words.h; nothing: it is not set */
    enum policy_feature feature;
    bool wants_requests; /* an error on a tcp service */
};
#define KEY_AT(type, field) .at = offsetof(type, field), .width = sizeof(((type *)NULL)->field)

/* Reads every key of `map` that is in the table, into the struct at `base`; complains about others. */
void compile_keys(struct compile *k, const struct key *table, const struct yaml_node *map, bool is_tcp,
                  void *base);
/* The same for those keys of a larger map that are in the table; others are somebody else's. */
void compile_some_keys(struct compile *k, const struct key *table, const struct yaml_node *map, bool is_tcp,
                       void *base);
/* The policy needs `f`, for what is written at `n`. */
void compile_need(struct compile *k, enum policy_feature f, const struct yaml_node *n);

/* -- sections --------------------------------------------------------------------------------------- */

void compile_defaults(struct compile *k, const struct yaml_node *n_or_null);
void compile_services(struct compile *k, const struct yaml_node *services);
void compile_intentions(struct compile *k, const struct yaml_node *intentions);
void compile_faults(struct compile *k, const struct yaml_node *faults);
void compile_egress(struct compile *k, const struct yaml_node *egress);
void compile_observability(struct compile *k, const struct yaml_node *n);
void compile_audit(struct compile *k, const struct yaml_node *n);
void compile_rollout(struct compile *k, const struct yaml_node *n);
void compile_revoke(struct compile *k, const struct yaml_node *list);
void compile_tests(struct compile *k, const struct yaml_node *tests);
/* compile_overlay.c: the head of an overlay; the services that one alone names; what its rules may not say. */
void compile_overlay_head(struct compile *k, const struct yaml_node *root);
void compile_overlay_services(struct compile *k, const struct yaml_node *root);
void compile_overlay_rule(struct compile *k, const struct yaml_node *n);
extern const struct key compile_observability_keys[], compile_audit_keys[], compile_rollout_keys[];
/* What holds of the last three where nobody writes them. */
void compile_mesh_defaults(struct policy *p);
/* What only the whole shows, as warnings: rules without effect, services nobody may call. */
void compile_warnings(struct compile *k, const struct yaml_node *services_or_null,
                      const struct yaml_node *intentions_or_null);

/* -- parts of a service ----------------------------------------------------------------------------- */

extern const struct key
    compile_settings_keys[]; /* of struct policy_settings: in `defaults` and in a service */
/* `settings` as inherited; reads what `map` says instead and checks the whole. */
void compile_settings(struct compile *k, const struct yaml_node *map, bool is_tcp,
                      struct policy_settings *settings);
void compile_routes(struct compile *k, struct policy_service *s, const struct yaml_node *routes);
/* `timeouts` and `retry` of a route, over those of its service. */
void compile_route_settings(struct compile *k, const struct policy_service *s, struct policy_route *r,
                            const struct yaml_node *n);
/* rewrite, sticky, mirror, requestHeaders, responseHeaders. */
void compile_route_actions(struct compile *k, struct policy_service *s, struct policy_route *r,
                           const struct yaml_node *n);
/* failover and rateLimits: once all services and this one's routes are there. */
void compile_service_links(struct compile *k, struct policy_service *s, const struct yaml_node *n);
/* One entry of `match`. */
bool compile_match(struct compile *k, struct route_match *m, const struct yaml_node *n);

int compile_service_by_name(const void *a, const void *b); /* for qsort() */
/* A pattern for values, or for paths. NULL, with a complaint: it does not compile, or could never match. */
const struct regex *compile_value_regex(struct compile *k, const struct yaml_node *n);
const struct regex *compile_path_regex(struct compile *k, const struct yaml_node *n);

/* -- shared readers --------------------------------------------------------------------------------- */

/* May the text that `n` stands in speak of this service? Complains. */
bool compile_in_reach(struct compile *k, const struct yaml_node *n, struct bytes service);
bool compile_is_star(const struct yaml_node *n); /* "*" */
struct bytes compile_copy(struct compile *k, struct bytes t);
/* {header: x} or {cookie: x}; `source` where it may be. On tcp only that. */
void compile_sender(struct compile *k, const struct yaml_node *n, bool with_source, bool is_tcp,
                    struct policy_key *out);
/* The name of a header that the mesh carries, in lower case, copied. Empty if bad. */
struct bytes compile_header_name(struct compile *k, const struct yaml_node *n);
/* The name of a route, rule or subset: letters, digits, and . _ - inside. It is shown in answers, logs and
 * metrics. NULL if bad. */
const char *compile_word(struct compile *k, const struct yaml_node *n, const char *what);
/* A service name as DNS allows it. Empty if bad. */
struct bytes compile_service_name(struct compile *k, const struct yaml_node *n, const char *what);
/* The service named here; complains, with a suggestion, if there is none. */
const struct policy_service *compile_service_ref(struct compile *k, const struct yaml_node *n);
const struct policy_subset *compile_subset_ref(struct compile *k, const struct policy_service *s,
                                               const struct yaml_node *n);
/* The index of the route named here; UINT32_MAX, with a complaint, if there is none. */
uint32_t compile_route_ref(struct compile *k, const struct policy_service *s, const struct yaml_node *n);
/* An HTTP method; its bit is given out on first use. 0 if bad. */
uint64_t compile_method(struct compile *k, const struct yaml_node *n);
/* The name of the part that `n` stands in; NULL: of none. */
const char *compile_part(const struct compile *k, const struct yaml_node *n);
/* `name`, and before it the part that `n` stands in: names of a part are its own. NULL stays NULL. */
const char *compile_name_in_part(struct compile *k, const struct yaml_node *n, const char *name);
/* Complains about scalars that are there twice; the second is told about the `name`s of the maps in a list, where
 * each part has names of its own. */
void compile_once(struct compile *k, struct yaml_node *const *names, size_t count, const char *what);
void compile_names_once(struct compile *k, const struct yaml_node *list, const char *what);
/* A map? With no other keys than these? Complains of either; true if it is a map. */
bool compile_map(struct compile *k, const struct yaml_node *n, const char *const *keys);
/* A list of 1 to `max` entries? Complains. */
bool compile_list(struct compile *k, const struct yaml_node *n, const char *what, size_t max);

#endif
