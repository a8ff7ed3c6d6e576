/* When one match leaves nothing to another, and when two have nothing in common. Certain or not said. */
#include "policy/compiled.h"

struct measure { /* what patterns are compared by */
    const struct regex *path_form;
    struct regex_budget *budget;
};

static bool begins_with(struct bytes s, struct bytes prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static struct regex_side path_side(const struct route_match *m)
{
    return m->path_test == PATH_REGEX ? (struct regex_side){.regex = m->path_regex}
                                      : (struct regex_side){.begin = m->path, .by_segment = true};
}

/* -- covers -------------------------------------------------------------------------------------------- */

static bool path_regex_covers(const struct route_match *a, const struct route_match *b,
                              const struct measure *by)
{
    struct regex_side one = path_side(a), other = path_side(b);
    if (b->path_test == PATH_EXACT)
        return regex_fits(a->path_regex, b->path);
    if (b->path_test == PATH_ANY)
        other = (struct regex_side){.begin = bytes_str(""), .by_segment = true};
    return regex_covers(&one, &other, by->path_form, by->budget) == REGEX_YES;
}

static bool path_covers(const struct route_match *a, const struct route_match *b, const struct measure *by)
{
    if (a->path_test == PATH_ANY || (a->path_test == PATH_PREFIX && a->path.len == 0))
        return true;
    if (a->path_test == PATH_REGEX || (a->path_test == PATH_PREFIX && b->path_test == PATH_REGEX))
        return path_regex_covers(a, b, by);
    if (a->path_test == PATH_EXACT)
        return b->path_test == PATH_EXACT && bytes_eq(a->path, b->path);
    return b->path_test != PATH_ANY && path_is_under(b->path, a->path);
}

static bool is_ascii(struct bytes t)
{
    for (size_t i = 0; i < t.len; i++)
        if (t.at[i] >= 0x80)
            return false;
    return true;
}

/* Values are bytes of any kind, of which only UTF-8 fits a pattern: so no pattern covers a prefix. */
static bool value_regex_covers(const struct field_match *a, const struct field_match *b,
                               const struct measure *by)
{
    struct regex_side one = {.regex = a->regex, .begin = a->value}, other = {.regex = b->regex};
    return (a->regex || is_ascii(a->value)) && regex_covers(&one, &other, NULL, by->budget) == REGEX_YES;
}

/* Does whatever meets `b` meet `a` (same name)? */
static bool field_implied(const struct field_match *a, const struct field_match *b, const struct measure *by)
{
    switch (a->test) {
    case FIELD_PRESENT:
        return b->test != FIELD_ABSENT;
    case FIELD_ABSENT:
        return b->test == FIELD_ABSENT;
    case FIELD_PREFIX:
        if (b->test == FIELD_REGEX)
            return value_regex_covers(a, b, by);
        return (b->test == FIELD_PREFIX || b->test == FIELD_EXACT) && begins_with(b->value, a->value);
    case FIELD_EXACT:
        return b->test == FIELD_EXACT && bytes_eq(a->value, b->value);
    case FIELD_REGEX:
        if (b->test == FIELD_EXACT)
            return regex_fits(a->regex, b->value);
        return b->test == FIELD_REGEX && value_regex_covers(a, b, by);
    }
    return false;
}

static bool fields_cover(const struct field_match *a, size_t a_count, const struct field_match *b,
                         size_t b_count, const struct measure *by)
{
    for (size_t i = 0; i < a_count; i++) {
        size_t j = 0;
        while (j < b_count && !(bytes_eq(a[i].name, b[j].name) && field_implied(&a[i], &b[j], by)))
            j++;
        if (j == b_count)
            return false;
    }
    return true;
}

bool route_match_covers(const struct route_match *earlier, const struct route_match *later,
                        const struct regex *path_form, struct regex_budget *budget)
{
    struct measure by = {path_form, budget};
    return (earlier->method == 0 || earlier->method == later->method) && path_covers(earlier, later, &by) &&
           fields_cover(earlier->header, earlier->header_count, later->header, later->header_count, &by) &&
           fields_cover(earlier->query, earlier->query_count, later->query, later->query_count, &by);
}

/* -- meets --------------------------------------------------------------------------------------------- */

static bool path_regex_meets(const struct route_match *a, const struct route_match *b,
                             const struct measure *by)
{
    const struct route_match *plain = a->path_test == PATH_REGEX ? b : a, *regex = plain == a ? b : a;
    struct regex_side one = path_side(plain), other = path_side(regex);
    if (plain->path_test == PATH_EXACT)
        return regex_fits(regex->path_regex, plain->path);
    return regex_meets(&one, &other, by->path_form, by->budget) != REGEX_NO;
}

static bool paths_meet(const struct route_match *a, const struct route_match *b, const struct measure *by)
{
    if (a->path_test == PATH_ANY || b->path_test == PATH_ANY)
        return true;
    if (a->path_test == PATH_REGEX || b->path_test == PATH_REGEX)
        return path_regex_meets(a, b, by);
    if (a->path_test == PATH_EXACT && b->path_test == PATH_EXACT)
        return bytes_eq(a->path, b->path);
    return (a->path_test == PATH_PREFIX && path_is_under(b->path, a->path)) ||
           (b->path_test == PATH_PREFIX && path_is_under(a->path, b->path));
}

/* A header may have several lines, so only "absent" contradicts anything. */
static bool fields_meet(const struct field_match *a, size_t a_count, const struct field_match *b,
                        size_t b_count)
{
    for (size_t i = 0; i < a_count; i++)
        for (size_t j = 0; j < b_count; j++)
            if (bytes_eq(a[i].name, b[j].name) && (a[i].test == FIELD_ABSENT) != (b[j].test == FIELD_ABSENT))
                return false;
    return true;
}

bool route_match_meets(const struct route_match *a, const struct route_match *b,
                       const struct regex *path_form, struct regex_budget *budget)
{
    struct measure by = {path_form, budget};
    return (!a->method || !b->method || a->method == b->method) && paths_meet(a, b, &by) &&
           fields_meet(a->header, a->header_count, b->header, b->header_count) &&
           fields_meet(a->query, a->query_count, b->query, b->query_count);
}
