/* `revoke`: keys that count for nothing from now on. What an agent does with them is control/judge.c's matter. */
#include "policy/compile.h"

static void compile_key(struct compile *k, struct policy_revocation *r, const struct yaml_node *n)
{
    struct bytes text;
    if (!yaml_string(n, "key", &text, k->c))
        return;
    enum err e = node_id_parse(&r->key, n->text);
    if (e == ERR_MALFORMED)
        complain_of(k->c, CODE_VALUE, n,
                    "`%.80s` is no key; write ed25519: and its 64 lower-case hex digits, as `starling "
                    "members --json` and `token create` show it",
                    n->text);
    else if (e != ERR_OK)
        complain_of(k->c, CODE_VALUE, n,
                    "`%.80s` cannot be anybody's key: a point of small order or not canonical", n->text);
}

static void compile_reason(struct compile *k, struct policy_revocation *r, const struct yaml_node *n)
{
    struct bytes t;
    if (!yaml_string(n, "reason", &t, k->c))
        return;
    if (t.len > POLICY_REASON_MAX)
        complain_of(k->c, CODE_LIMIT, n, "a reason has at most %d bytes; this one has %zu", POLICY_REASON_MAX,
                    t.len);
    r->reason = arena_text(&k->p->arena, t.at, t.len);
}

static void compile_entry(struct compile *k, struct policy_revocation *r, const struct yaml_node *n)
{
    static const char *const keys[] = {"key", "reason", "at", NULL};
    *r = (struct policy_revocation){.reason = ""};
    if (!yaml_keys_only(n, keys, k->c))
        return;
    const struct yaml_node *key = yaml_get(n, "key"), *reason = yaml_get(n, "reason"),
                           *at = yaml_get(n, "at");
    if (!key || !reason || !at)
        complain_of(k->c, CODE_MISSING, n,
                    "a revocation says which `key`, for what `reason` and since when (`at`)");
    if (key)
        compile_key(k, r, key);
    if (reason)
        compile_reason(k, r, reason);
    if (at)
        (void)yaml_time(at, &r->at, k->c);
}

static int by_key(const void *a, const void *b)
{
    return node_id_cmp(&((const struct policy_revocation *)a)->key,
                       &((const struct policy_revocation *)b)->key);
}

static void refuse_repeated(struct compile *k, const struct yaml_node *list,
                            const struct policy_revocation *r, size_t count)
{
    char text[NODE_ID_TEXT_MAX];
    for (size_t i = 1; i < count; i++)
        if (node_id_eq(&r[i - 1].key, &r[i].key) && !node_id_is_zero(&r[i].key))
            complain_of(k->c, CODE_REPEATED, list, "%s is revoked twice; keep the first of the two",
                        node_id_text(&r[i].key, text));
}

void compile_revoke(struct compile *k, const struct yaml_node *list)
{
    if (!yaml_is(list, YAML_LIST, "revoke", k->c))
        return;
    if (list->count > POLICY_REVOKED_MAX) {
        complain_of(k->c, CODE_LIMIT, list,
                    "more than %d revocations; drop those that have outlived what they revoke",
                    POLICY_REVOKED_MAX);
        return;
    }
    compile_need(k, FEATURE_REVOKE, list);
    struct policy_revocation *r = arena_take(&k->p->arena, list->count, sizeof *r);
    if (!r)
        return;
    for (size_t i = 0; i < list->count; i++)
        compile_entry(k, &r[i], list->child[i]);
    qsort(r, list->count, sizeof *r, by_key);
    refuse_repeated(k, list, r, list->count);
    k->p->revoked = r;
    k->p->revoked_count = list->count;
}

const struct policy_revocation *policy_revocations(const struct policy *p, size_t *count)
{
    *count = p->revoked_count;
    return p->revoked;
}

const struct policy_revocation *policy_revocation(const struct policy *p, const struct node_id *key)
{
    struct policy_revocation wanted = {.key = *key};
    return p->revoked_count ? bsearch(&wanted, p->revoked, p->revoked_count, sizeof wanted, by_key) : NULL;
}
