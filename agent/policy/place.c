#include "policy/place.h"

#include "policy/compiled.h"

enum { PLACE_KEY_MAX = 128 };

static const struct yaml_node *root_of(const struct places *p, size_t i)
{
    return yaml_root(p->policy->doc[i]);
}

static const char *file_of(const struct places *p, size_t i)
{
    const char *file = i == 0 && p->first_or_null ? p->first_or_null : p->policy->source_names[i].file;
    return file ? file : "input";
}

static void write_place(const struct places *p, const struct yaml_node *n, struct buf *out)
{
    if (n)
        buf_addf(out, "%s:%u", file_of(p, n->source), n->line);
    else
        buf_add_str(out, "default");
}

/* "retry.backoff.base" below `n`, which may be NULL. */
static const struct yaml_node *below(const struct yaml_node *n, const char *key)
{
    char part[PLACE_KEY_MAX];
    while (n && *key) {
        size_t len = strcspn(key, ".");
        if (len >= sizeof part)
            return NULL;
        memcpy(part, key, len);
        part[len] = 0;
        n = yaml_get(n, part);
        key += len + (key[len] == '.');
    }
    return n;
}

/* Service names have dots: no path of keys. */
static const struct yaml_node *service_node(const struct places *p, const char *service)
{
    const struct yaml_node *n = NULL;
    for (size_t i = 0; i < p->policy->source_count && !n; i++) {
        const struct yaml_node *all = yaml_get(root_of(p, i), "services");
        n = all ? yaml_get(all, service) : NULL;
    }
    return n;
}

static const struct yaml_node *named_in(const struct yaml_node *list, const char *name)
{
    for (size_t i = 0; list && list->kind == YAML_LIST && i < list->count; i++) {
        const struct yaml_node *n = yaml_get(list->child[i], "name");
        if (n && n->kind == YAML_SCALAR && strcmp(n->text, name) == 0)
            return list->child[i];
    }
    return NULL;
}

static const struct yaml_node *route_node(const struct places *p, const char *service, const char *route)
{
    return named_in(below(service_node(p, service), "routes"), route);
}

void place_of_setting(const struct places *p, const char *service, const char *route, const char *key,
                      struct buf *out)
{
    const struct yaml_node *n = route ? below(route_node(p, service, route), key) : NULL;
    if (!n)
        n = below(service_node(p, service), key);
    for (size_t i = 0; i < p->policy->source_count && !n; i++)
        n = below(yaml_get(root_of(p, i), "defaults"), key);
    write_place(p, n, out);
}

void place_of_route(const struct places *p, const char *service, const char *route, const char *key,
                    struct buf *out)
{
    const struct yaml_node *n = route_node(p, service, route);
    write_place(p, key ? below(n, key) : n, out);
}

/* The name that an entry of this text goes by without its part's or overlay's; NULL: it cannot be of this text. */
static const char *name_in_text(const struct yaml_node *root, const char *name)
{
    static const char overlay[] = "overlay:";
    bool is_overlay = yaml_get(root, "overlay") != NULL;
    const struct yaml_node *part = yaml_get(root, is_overlay ? "name" : "part");
    if (!part || part->kind != YAML_SCALAR)
        return name;
    if (is_overlay && strncmp(name, overlay, sizeof overlay - 1) != 0)
        return NULL;
    name += is_overlay ? sizeof overlay - 1 : 0;
    return strncmp(name, part->text, part->text_len) == 0 && name[part->text_len] == '/'
               ? name + part->text_len + 1
               : NULL;
}

void place_of_named(const struct places *p, const char *list, const char *name, struct buf *out)
{
    const struct yaml_node *n = NULL;
    for (size_t i = 0; i < p->policy->source_count && !n; i++) {
        const struct yaml_node *root = root_of(p, i);
        const char *own = name_in_text(root, name);
        n = own ? named_in(yaml_get(root, list), own) : NULL;
    }
    write_place(p, n, out);
}

void place_of_entry(const struct places *p, const char *service, const char *list, size_t index,
                    struct buf *out)
{
    const struct yaml_node *all = below(service_node(p, service), list);
    write_place(p, all && all->kind == YAML_LIST && index < all->count ? all->child[index] : NULL, out);
}
