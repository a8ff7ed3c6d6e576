/* When one match leaves nothing to another. Conservative: true only if it is certain for every request. */
#include "policy/compiled.h"

static bool begins_with(struct bytes s, struct bytes prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.at, prefix.at, prefix.len) == 0);
}

static bool path_covers(const struct route_match *a, const struct route_match *b)
{
    if (a->path_test == PATH_ANY || (a->path_test == PATH_PREFIX && a->path.len == 0))
        return true;
    if (a->path_test == PATH_EXACT)
        return b->path_test == PATH_EXACT && bytes_eq(a->path, b->path);
    return b->path_test != PATH_ANY && path_is_under(b->path, a->path);
}

/* Does whatever meets `b` meet `a` (same name)? */
static bool field_implied(const struct field_match *a, const struct field_match *b)
{
    switch (a->test) {
    case FIELD_PRESENT:
        return b->test != FIELD_ABSENT;
    case FIELD_ABSENT:
        return b->test == FIELD_ABSENT;
    case FIELD_PREFIX:
        return (b->test == FIELD_PREFIX || b->test == FIELD_EXACT) && begins_with(b->value, a->value);
    case FIELD_EXACT:
        return b->test == FIELD_EXACT && bytes_eq(a->value, b->value);
    }
    return false;
}

static bool fields_cover(const struct field_match *a, size_t a_count, const struct field_match *b,
                         size_t b_count)
{
    for (size_t i = 0; i < a_count; i++) {
        size_t j = 0;
        while (j < b_count && !(bytes_eq(a[i].name, b[j].name) && field_implied(&a[i], &b[j])))
            j++;
        if (j == b_count)
            return false;
    }
    return true;
}

bool route_match_covers(const struct route_match *earlier, const struct route_match *later)
{
    return (earlier->method == 0 || earlier->method == later->method) && path_covers(earlier, later) &&
           fields_cover(earlier->header, earlier->header_count, later->header, later->header_count) &&
           fields_cover(earlier->query, earlier->query_count, later->query, later->query_count);
}
