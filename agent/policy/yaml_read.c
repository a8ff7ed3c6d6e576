/* Typed reading of the tree's scalars. One spelling per value where the type allows it; what was expected is
 * always said. */
#include "policy/yaml.h"

static const char *kind_name(const struct yaml_node *n)
{
    if (n->kind == YAML_SCALAR)
        return n->text_len ? "a single value" : "nothing";
    return n->kind == YAML_LIST ? "a list" : "a map";
}

bool yaml_is(const struct yaml_node *n, enum yaml_kind kind, const char *what, struct complaints *c)
{
    static const char *const wanted[] = {[YAML_SCALAR] = "a single value",
                                         [YAML_LIST] = "a list ([a, b])",
                                         [YAML_MAP] = "a map ({key: value})"};
    if (n->kind == kind)
        return true;
    complain_of(c, CODE_TYPE, n, "`%s` must be %s; found %s", what, wanted[kind], kind_name(n));
    return false;
}

bool yaml_string(const struct yaml_node *n, const char *what, struct bytes *out, struct complaints *c)
{
    if (!yaml_is(n, YAML_SCALAR, what, c))
        return false;
    if (n->text_len == 0) {
        complain_of(c, CODE_MISSING, n, "`%s` is empty; give it a value or leave it out", what);
        return false;
    }
    *out = bytes_of(n->text, n->text_len);
    return true;
}

static bool expected(const struct yaml_node *n, const char *what, struct complaints *c)
{
    if (n->kind == YAML_SCALAR && n->text_len)
        complain_of(c, CODE_VALUE, n, "expected %s; found `%.60s`", what, n->text);
    else
        complain_of(c, CODE_TYPE, n, "expected %s; found %s", what, kind_name(n));
    return false;
}

static bool is_digit(char ch)
{
    return ch >= '0' && ch <= '9';
}

/* GEP-2257: ([0-9]{1,5}(h|m|s|ms)){1,4} */
static bool duration_of(const char *p, uint64_t *ms)
{
    uint64_t sum = 0;
    for (int part = 0; part < 4; part++) {
        uint64_t v = 0;
        int digits = 0;
        for (; is_digit(*p) && digits <= 5; digits++)
            v = v * 10 + (uint64_t)(*p++ - '0');
        if (digits < 1 || digits > 5)
            return false;
        if (p[0] == 'm' && p[1] == 's') {
            sum += v;
            p += 2;
        } else if (*p == 'h' || *p == 'm' || *p == 's') {
            sum += v * (*p == 'h' ? 3600000 : *p == 'm' ? 60000 : 1000);
            p++;
        } else {
            return false;
        }
        if (*p == 0) {
            *ms = sum;
            return true;
        }
    }
    return false;
}

bool yaml_duration_ms(const struct yaml_node *n, uint64_t *ms, struct complaints *c)
{
    if (n->kind == YAML_SCALAR && duration_of(n->text, ms))
        return true;
    return expected(n, "a duration such as 250ms, 15s or 1h30m (0s for none)", c);
}

bool yaml_days_ms(const struct yaml_node *n, uint64_t *ms, struct complaints *c)
{
    uint64_t days = 0;
    size_t digits = 0;
    while (n->kind == YAML_SCALAR && digits < 5 && is_digit(n->text[digits]))
        days = days * 10 + (uint64_t)(n->text[digits++] - '0');
    if (digits && strcmp(n->text + digits, "d") == 0) {
        *ms = days * 86400000;
        return true;
    }
    if (n->kind == YAML_SCALAR && duration_of(n->text, ms))
        return true;
    return expected(n, "a time span such as 90d or 12h", c);
}

/* D{1,4} or D{1,4}.D{1,4}, and the percent sign. */
static bool percent_of(const char *p, uint32_t *ppm)
{
    uint32_t v = 0, scale = 10000;
    int digits = 0, decimals = 0;
    for (; is_digit(*p) && digits < 5; digits++)
        v = v * 10 + (uint32_t)(*p++ - '0');
    if (digits < 1 || digits > 4)
        return false;
    v *= scale;
    if (*p == '.') {
        p++;
        for (; is_digit(*p) && decimals < 4; decimals++)
            v += (uint32_t)(*p++ - '0') * (scale /= 10);
        if (decimals == 0)
            return false;
    }
    *ppm = v;
    return strcmp(p, "%") == 0;
}

bool yaml_percent_ppm(const struct yaml_node *n, uint32_t *ppm, uint32_t max_percent, struct complaints *c)
{
    char what[80];
    uint32_t got;
    if (n->kind == YAML_SCALAR && percent_of(n->text, &got) && got <= max_percent * 10000) {
        *ppm = got;
        return true;
    }
    snprintf(what, sizeof what, "a percentage from 0%% to %u%%, such as 5%%", max_percent);
    return expected(n, what, c);
}

/* The number a text begins with, of at most nine digits; its end in *rest. */
static bool leading_number(const char *p, uint64_t *out, const char **rest)
{
    uint64_t v = 0;
    int digits = 0;
    for (; is_digit(*p) && digits < 9; digits++)
        v = v * 10 + (uint64_t)(*p++ - '0');
    *out = v;
    *rest = p;
    return digits > 0;
}

bool yaml_size(const struct yaml_node *n, uint64_t *bytes, uint64_t min, uint64_t max, struct complaints *c)
{
    static const struct {
        const char *name;
        unsigned shift;
    } units[] = {{"B", 0}, {"KiB", 10}, {"MiB", 20}};
    char what[120];
    const char *unit;
    uint64_t v;
    if (n->kind == YAML_SCALAR && leading_number(n->text, &v, &unit))
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strcmp(unit, units[i].name) == 0 && v << units[i].shift >= min &&
                v << units[i].shift <= max) {
                *bytes = v << units[i].shift;
                return true;
            }
    snprintf(what, sizeof what, "a size in B, KiB or MiB, such as 64KiB, from %lluB to %lluB",
             (unsigned long long)min, (unsigned long long)max);
    return expected(n, what, c);
}

bool yaml_rate(const struct yaml_node *n, uint64_t *count, uint64_t *per_ms, struct complaints *c)
{
    static const struct {
        const char *name;
        uint64_t ms;
    } units[] = {{"/s", 1000}, {"/m", 60000}, {"/h", 3600000}};
    const char *unit;
    uint64_t v;
    if (n->kind == YAML_SCALAR && leading_number(n->text, &v, &unit) && v > 0)
        for (size_t i = 0; i < sizeof units / sizeof *units; i++)
            if (strcmp(unit, units[i].name) == 0) {
                *count = v;
                *per_ms = units[i].ms;
                return true;
            }
    return expected(n, "a rate such as 100/s, 6000/m or 10/h", c);
}

static bool number_of(const char *p, uint64_t *out)
{
    uint64_t v = 0;
    if (!is_digit(*p) || (p[0] == '0' && p[1] != 0))
        return false;
    for (; is_digit(*p); p++) {
        uint64_t digit = (uint64_t)(*p - '0');
        if (v > (UINT64_MAX - digit) / 10)
            return false;
        v = v * 10 + digit;
    }
    *out = v;
    return *p == 0;
}

bool yaml_u64(const struct yaml_node *n, uint64_t *v, uint64_t min, uint64_t max, struct complaints *c)
{
    char what[80];
    uint64_t got;
    bool is_percent = n->kind == YAML_SCALAR && n->text_len > 1 && n->text[n->text_len - 1] == '%';
    if (n->kind == YAML_SCALAR && number_of(n->text, &got) && got >= min && got <= max) {
        *v = got;
        return true;
    }
    snprintf(what, sizeof what, "a whole number from %llu to %llu%s", (unsigned long long)min,
             (unsigned long long)max, is_percent ? ", without %" : "");
    return expected(n, what, c);
}

bool yaml_bool(const struct yaml_node *n, bool *v, struct complaints *c)
{
    bool is_true = n->kind == YAML_SCALAR && strcmp(n->text, "true") == 0;
    if (!is_true && (n->kind != YAML_SCALAR || strcmp(n->text, "false") != 0))
        return expected(n, "true or false", c);
    *v = is_true;
    return true;
}

/* Days since 1970-01-01 of a Gregorian date (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
 * days_from_civil). */
static int64_t days_of(int64_t y, unsigned month, unsigned day)
{
    y -= month <= 2;
    int64_t era = y / 400;
    unsigned in_era = (unsigned)(y - era * 400);
    unsigned in_year = (153 * (month + (month > 2 ? -3u : 9u)) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)(in_era * 365 + in_era / 4 - in_era / 100 + in_year) - 719468;
}

static unsigned days_in_month(unsigned y, unsigned month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
    return days[month - 1] + (month == 2 && leap);
}

/* "2027-01-31T00:00:00Z": RFC 3339 in UTC, whole seconds, no leap second. */
static bool time_of(const char *p, int64_t *out)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
    unsigned v[6] = {0}, field = 0;
    for (size_t i = 0; form[i]; i++) {
        if (form[i] != 'd') {
            if (p[i] != form[i])
                return false;
            field++;
        } else if (!is_digit(p[i])) {
            return false;
        } else {
            v[field] = v[field] * 10 + (unsigned)(p[i] - '0');
        }
    }
    if (p[sizeof form - 1] != 0 || v[0] < 1970 || v[1] < 1 || v[1] > 12 || v[2] < 1 ||
        v[2] > days_in_month(v[0], v[1]) || v[3] > 23 || v[4] > 59 || v[5] > 59)
        return false;
    *out = days_of(v[0], v[1], v[2]) * 86400 + v[3] * 3600 + v[4] * 60 + v[5];
    return true;
}

bool yaml_time(const struct yaml_node *n, int64_t *wall, struct complaints *c)
{
    if (n->kind == YAML_SCALAR && time_of(n->text, wall))
        return true;
    return expected(n, "a time in UTC such as 2027-01-31T00:00:00Z", c);
}

bool yaml_one_of(const struct yaml_node *n, const char *const *words, size_t *index, struct complaints *c)
{
    struct buf list = {.max = 512};
    for (size_t i = 0; words[i]; i++) {
        if (n->kind == YAML_SCALAR && strcmp(n->text, words[i]) == 0) {
            *index = i;
            buf_fini(&list);
            return true;
        }
        buf_addf(&list, "%s%s", i == 0 ? "" : words[i + 1] ? ", " : " or ", words[i]);
    }
    (void)expected(n, buf_str(&list), c);
    buf_fini(&list);
    return false;
}

enum { KNOWN_SHOWN_MAX = 300 }; /* bytes of the keys that are listed; the longest list has 170 */

static void complain_of_unknown(struct complaints *c, const struct yaml_node *key, const char *const *known)
{
    char words[KNOWN_SHOWN_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; known[i] && len < sizeof words; i++)
        len += (size_t)snprintf(words + len, sizeof words - len, "%s%s", i ? ", " : "", known[i]);
    complain_of(c, CODE_UNKNOWN_KEY, key, "unknown key `%.60s`; expected one of %s", key->text, words);
}

bool yaml_keys_only(const struct yaml_node *map, const char *const *known, struct complaints *c)
{
    bool good = true;
    if (map->kind != YAML_MAP) {
        complain_of(c, CODE_TYPE, map, "expected a map ({key: value}); found %s", kind_name(map));
        return false;
    }
    for (size_t i = 0; i < map->count; i++) {
        const char *key = map->key[i]->text;
        size_t k = 0;
        while (known[k] && strcmp(known[k], key) != 0)
            k++;
        if (known[k])
            continue;
        const char *near = yaml_nearest(key, known);
        if (near)
            complain_of(c, CODE_UNKNOWN_KEY, map->key[i], "unknown key `%.60s`; did you mean `%s`?", key,
                        near);
        else
            complain_of_unknown(c, map->key[i], known);
        good = false;
    }
    return good;
}
