/* What is in force and what is not yet. A key of the language that this version does not act on is refused:
 * an operator who writes `retry` must never believe in retries that nobody makes. */
#include "policy/compile.h"

enum { WORDS_MAX = 64 };

static bool has(const char *const *words, const char *text)
{
    for (; *words; words++)
        if (strcmp(*words, text) == 0)
            return true;
    return false;
}

static const char *nearest_of_both(const char *text, const char *const *a, const char *const *b)
{
    const char *all[WORDS_MAX + 1];
    size_t n = 0;
    for (; *a; a++)
        all[n++] = *a;
    for (; *b; b++)
        all[n++] = *b;
    assert(n <= WORDS_MAX);
    all[n] = NULL;
    return yaml_nearest(text, all);
}

static void complain_of_later(const struct yaml_node *n, struct complaints *c)
{
    /* RE2 is C++, TRE is quadratic and without maintainer, PCRE backtracks: POLICY wants linear time. */
    if (strcmp(n->text, "regex") == 0)
        complain(c, n,
                 "`regex` is part of the language but not in force in this version, which has no linear-time "
                 "engine; use exact, "
                 "prefix or present");
    else
        complain(c, n, "`%s` is part of the language but not in force in this version; remove it", n->text);
}

bool schema_keys(const struct yaml_node *map, const char *const *in_force, const char *const *later,
                 struct complaints *c)
{
    if (map->kind != YAML_MAP)
        return yaml_keys_only(map, in_force, c);
    for (size_t i = 0; i < map->count; i++) {
        const struct yaml_node *key = map->key[i];
        if (has(in_force, key->text))
            continue;
        const char *near = nearest_of_both(key->text, in_force, later);
        if (has(later, key->text))
            complain_of_later(key, c);
        else if (near)
            complain(c, key, "unknown key `%.60s`; did you mean `%s`?", key->text, near);
        else
            complain(c, key, "unknown key `%.60s`; remove it", key->text);
    }
    return true;
}

bool schema_word(const struct yaml_node *n, const char *const *in_force, const char *const *later,
                 size_t *index, struct complaints *c)
{
    if (n->kind != YAML_SCALAR || !has(later, n->text))
        return yaml_one_of(n, in_force, index, c);
    struct buf words = {0};
    for (size_t i = 0; in_force[i]; i++)
        buf_addf(&words, "%s%s", i == 0 ? "" : " or ", in_force[i]);
    complain(c, n, "`%s` is part of the language but not in force in this version; use %s", n->text,
             buf_str(&words));
    buf_fini(&words);
    return false;
}
