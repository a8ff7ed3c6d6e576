/* Maps of settings, read by tables: each key has a type, a place in a struct, its bounds, and the feature it
 * belongs to. */
#include "policy/compile.h"

enum { KEYS_MAX = 32 }; /* of one table */

static void store_number(void *field, size_t width, uint64_t v)
{
    uint32_t narrow = (uint32_t)v;
    assert(width == sizeof v || (width == sizeof narrow && v <= UINT32_MAX));
    memcpy(field, width == sizeof v ? (const void *)&v : &narrow, width);
}

/* "+2%": a share of growth; the plus says that it is one. */
static bool read_rise(struct compile *k, const struct key *key, const struct yaml_node *n, uint32_t *ppm)
{
    struct yaml_node rest = *n;
    if (n->kind == YAML_SCALAR && n->text[0] == '+') {
        rest.text++;
        rest.text_len--;
        return yaml_percent_ppm(&rest, ppm, (uint32_t)key->max, k->c);
    }
    complain_of(k->c, CODE_VALUE, n, "expected a rise in percent, such as +2%%; found `%.60s`",
                n->kind == YAML_SCALAR ? n->text : "a map or list");
    return false;
}

static void read_bits(struct compile *k, const struct key *key, const struct yaml_node *n, void *field)
{
    unsigned bits = 0;
    size_t i;
    if (!yaml_is(n, YAML_LIST, key->name, k->c))
        return;
    for (size_t j = 0; j < n->count; j++)
        if (yaml_one_of(n->child[j], key->words, &i, k->c)) {
            if (bits >> i & 1)
                complain_of(k->c, CODE_REPEATED, n->child[j], "`%s` is named twice", key->words[i]);
            bits |= 1u << i;
        }
    memcpy(field, &bits, sizeof bits);
}

static void read_word(struct compile *k, const struct key *key, const struct yaml_node *n, void *field)
{
    size_t i;
    if (!yaml_one_of(n, key->words, &i, k->c))
        return;
    int v = (int)i;
    assert(key->width == sizeof v);
    memcpy(field, &v, sizeof v);
}

static void read_value(struct compile *k, const struct key *key, const struct yaml_node *n, bool is_tcp,
                       void *base)
{
    void *field = (char *)base + key->at;
    uint64_t v;
    uint32_t ppm;
    switch (key->type) {
    case TYPE_DURATION:
        if (yaml_duration_ms(n, &v, k->c))
            store_number(field, key->width, v);
        break;
    case TYPE_DAYS:
        if (yaml_days_ms(n, &v, k->c))
            store_number(field, key->width, v);
        break;
    case TYPE_NUMBER:
        if (yaml_u64(n, &v, key->min, key->max, k->c))
            store_number(field, key->width, v);
        break;
    case TYPE_SHARE:
        if (yaml_percent_ppm(n, &ppm, (uint32_t)key->max, k->c))
            store_number(field, key->width, ppm);
        break;
    case TYPE_RISE:
        if (read_rise(k, key, n, &ppm))
            store_number(field, key->width, ppm);
        break;
    case TYPE_SIZE:
        if (yaml_size(n, &v, key->min, key->max, k->c))
            store_number(field, key->width, v);
        break;
    case TYPE_WORD:
        read_word(k, key, n, field);
        break;
    case TYPE_BITS:
        read_bits(k, key, n, field);
        break;
    case TYPE_MAP:
        compile_keys(k, key->keys, n, is_tcp, base);
        break;
    case TYPE_OWN:
        key->read(k, n, field);
        break;
    }
}

void compile_some_keys(struct compile *k, const struct key *table, const struct yaml_node *map, bool is_tcp,
                       void *base)
{
    for (const struct key *key = table; key->name; key++) {
        size_t i = 0;
        while (i < map->count && strcmp(map->key[i]->text, key->name) != 0)
            i++;
        if (i == map->count)
            continue;
        compile_need(k, key->feature, map->key[i]);
        if (is_tcp && key->wants_requests)
            complain_of(k->c, CODE_PROTOCOL, map->child[i], "a tcp service has no requests; remove `%s`",
                        key->name);
        else
            read_value(k, key, map->child[i], is_tcp, base);
    }
}

void compile_keys(struct compile *k, const struct key *table, const struct yaml_node *map, bool is_tcp,
                  void *base)
{
    const char *names[KEYS_MAX + 1];
    size_t n = 0;
    for (; table[n].name; n++) {
        assert(n < KEYS_MAX);
        names[n] = table[n].name;
    }
    names[n] = NULL;
    if (compile_map(k, map, names))
        compile_some_keys(k, table, map, is_tcp, base);
}

void compile_need(struct compile *k, enum policy_feature f, const struct yaml_node *n)
{
    if (f == FEATURE_NONE || k->p->features & feature_bit(f))
        return;
    k->p->features |= feature_bit(f);
    k->p->need[f] =
        (struct yaml_node){.kind = YAML_SCALAR, .line = n->line, .column = n->column, .source = n->source};
}

bool compile_list(struct compile *k, const struct yaml_node *n, const char *what, size_t max)
{
    if (!yaml_is(n, YAML_LIST, what, k->c))
        return false;
    if (n->count == 0)
        complain_of(k->c, CODE_MISSING, n, "`%s` is empty; leave it out", what);
    else if (n->count > max)
        complain_of(k->c, CODE_LIMIT, n, "`%s` has at most %zu entries", what, max);
    return n->count > 0 && n->count <= max;
}

bool compile_map(struct compile *k, const struct yaml_node *n, const char *const *keys)
{
    return yaml_keys_only(n, keys, k->c) || n->kind == YAML_MAP;
}

struct named {
    const struct yaml_node *at;
    uint32_t owner; /* names of different owners are different */
};

static int named_by_text(const void *a, const void *b)
{
    const struct named *l = a, *r = b;
    const struct yaml_node *x = l->at, *y = r->at;
    int d = strcmp(x->text, y->text);
    if (d != 0)
        return d;
    if (l->owner != r->owner)
        return l->owner < r->owner ? -1 : 1;
    if (x->source != y->source)
        return x->source < y->source ? -1 : 1;
    return x->line != y->line ? (x->line < y->line ? -1 : 1)
                              : (x->column > y->column) - (x->column < y->column);
}

static void complain_of_second(struct compile *k, const struct yaml_node *first,
                               const struct yaml_node *again, const char *what)
{
    const char *file = first->source == again->source ? NULL : k->src[first->source].file;
    if (file)
        complain_of(k->c, CODE_REPEATED, again, "%s `%.60s` exists already, in %s:%u; rename one", what,
                    again->text, file, first->line);
    else
        complain_of(k->c, CODE_REPEATED, again, "%s `%.60s` exists already, in line %u; rename one", what,
                    again->text, first->line);
}

/* By sorting: a file may hold as many names as it has lines. */
static void refuse_repeated(struct compile *k, struct named *all, size_t count, const char *what)
{
    if (count)
        qsort(all, count, sizeof *all, named_by_text);
    for (size_t i = 1; i < count; i++)
        if (strcmp(all[i].at->text, all[i - 1].at->text) == 0 && all[i].owner == all[i - 1].owner)
            complain_of_second(k, all[i - 1].at, all[i].at, what);
}

void compile_once(struct compile *k, struct yaml_node *const *names, size_t count, const char *what)
{
    struct named *all = calloc(count + 1, sizeof *all);
    for (size_t i = 0; all && i < count; i++)
        all[i].at = names[i];
    if (all)
        refuse_repeated(k, all, count, what);
    else
        k->p->arena.failed = true;
    free(all);
}

void compile_names_once(struct compile *k, const struct yaml_node *list, const char *what)
{
    struct named *all = calloc(list->count + 1, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; all && i < list->count; i++) {
        const struct yaml_node *n = yaml_get(list->child[i], "name");
        if (n && n->kind == YAML_SCALAR)
            all[count++] = (struct named){n, compile_part(k, n) ? n->source + 1 : 0};
    }
    if (all)
        refuse_repeated(k, all, count, what);
    else
        k->p->arena.failed = true;
    free(all);
}
