/* LMDB 0.9's pages, native byte order; offsets from the start of the page:
 *
 *   page       u64 own number | u16 pad | u16 flags | u16 lower | u16 upper | u16 offset of each node | free
 *              | nodes, packed to the end in any order, of even sizes        nodes = (lower - 16) / 2
 *   overflow   u64 own number | u16 pad | u16 flags | u32 pages | the value
 *   node       u16 lo | u16 hi | u16 flags | u16 key bytes | key | data
 *     branch   child page = lo + hi<<16 + flags<<32; no data; the first key is ignored
 *     leaf     data bytes = lo + hi<<16; flags 1: data is the u64 number of an overflow page,
 *              2: data is a tree's head
 *   tree head  u32 pad | u16 flags | u16 depth | u64 branch pages | u64 leaf pages | u64 overflow pages
 *              | u64 entries | u64 root                                                      48 bytes
 *   meta       (guard.c) has two tree heads: that of the free pages, keyed by u64 transaction, and the
 *              main one, whose values are tree heads
 *   free list  u64 count | that many u64 page numbers, falling */
#include "store/pages.h"

#include <stdlib.h>

enum {
    PAGE_HEAD = 16,
    NODE_HEAD = 8,
    TREE_HEAD = 48,
    FLAG_BRANCH = 1,
    FLAG_LEAF = 2,
    FLAG_OVERFLOW = 4,
    FLAG_META = 8,
    NODE_BIG = 1,
    NODE_TREE = 2,
    TREE_INTEGER_KEY = 8,
    DEPTH_MAX = 32, /* LMDB's own limit of its cursors */
    PAGE_BYTES_MAX = 65536,
};
static const uint64_t no_page = UINT64_MAX;

struct walk {
    struct bytes image;
    size_t page_bytes;
    uint64_t last_page;
    uint8_t *taken; /* a bit per page: part of a tree, or free */
    const char *flaw;
};

struct tree {
    uint16_t flags, depth;
    uint64_t branches, leaves, overflows, entries, root;
    bool is_free_list, is_main;
};

struct node {
    uint16_t flags;
    uint64_t child;     /* of a branch */
    struct bytes key;   /* borrowed from the image */
    struct bytes value; /* of a leaf; of a big one: the 8 bytes of the page number */
    uint64_t big_bytes;
};

static uint64_t native(const uint8_t *p, size_t n)
{
    uint16_t v16;
    uint32_t v32;
    uint64_t v64;
    switch (n) {
    case 2:
        memcpy(&v16, p, n);
        return v16;
    case 4:
        memcpy(&v32, p, n);
        return v32;
    default:
        memcpy(&v64, p, sizeof v64);
        return v64;
    }
}

static void find(struct walk *w, const char *flaw)
{
    if (!w->flaw)
        w->flaw = flaw;
}

/* Marks a page as used by one thing only. */
static bool take(struct walk *w, uint64_t page)
{
    if (page < 2 || page > w->last_page) {
        find(w, "a page number points outside of it");
        return false;
    }
    uint8_t bit = (uint8_t)(1u << page % 8);
    if (w->taken[page / 8] & bit) {
        find(w, "a page is used twice");
        return false;
    }
    w->taken[page / 8] |= bit;
    return true;
}

static const uint8_t *page_at(const struct walk *w, uint64_t page)
{
    return w->image.at + page * w->page_bytes;
}

/* The page's own number and kind; NULL (and a flaw) if they are not what was expected. */
static const uint8_t *open_page(struct walk *w, uint64_t page, uint16_t kind)
{
    if (!take(w, page))
        return NULL;
    const uint8_t *p = page_at(w, page);
    if (native(p, 8) == page && native(p + 10, 2) == kind)
        return p;
    find(w, "a page is not the one that belongs in its place");
    return NULL;
}

/* ---- one page ---- */

static size_t node_count(const uint8_t *p)
{
    return (native(p + 12, 2) - PAGE_HEAD) / 2;
}

static size_t even(size_t n)
{
    return n + (n & 1);
}

/* Reads node i; the bytes it takes, or 0 if it is not within the page. */
static size_t read_node(const struct walk *w, const uint8_t *p, size_t i, bool is_branch, struct node *out)
{
    size_t at = native(p + PAGE_HEAD + 2 * i, 2), upper = native(p + 14, 2);
    if (at < upper || at % 2 != 0 || at + NODE_HEAD > w->page_bytes)
        return 0;
    const uint8_t *n = p + at;
    uint64_t low = native(n, 2) | native(n + 2, 2) << 16;
    size_t key = native(n + 6, 2);
    *out = (struct node){.flags = (uint16_t)native(n + 4, 2), .key = bytes_of(n + NODE_HEAD, key)};
    uint64_t value = 0;
    if (is_branch) {
        out->child = low | (uint64_t)out->flags << 32;
    } else if (out->flags & NODE_BIG) {
        out->big_bytes = low;
        value = 8;
    } else {
        value = low;
    }
    if (key + value > w->page_bytes - at - NODE_HEAD)
        return 0;
    out->value = bytes_of(n + NODE_HEAD + key, value);
    return even(NODE_HEAD + key + value);
}

/* Bounds are bounds, and the nodes lie between them without gap or overlap. */
static bool page_is_packed(struct walk *w, const uint8_t *p, bool is_branch)
{
    uint8_t covered[PAGE_BYTES_MAX / 16] = {0};
    size_t lower = native(p + 12, 2), upper = native(p + 14, 2), sum = 0;
    if (lower < PAGE_HEAD || lower % 2 != 0 || lower > upper || upper > w->page_bytes)
        return false;
    for (size_t i = 0; i < node_count(p); i++) {
        struct node n;
        size_t at = native(p + PAGE_HEAD + 2 * i, 2), size = read_node(w, p, i, is_branch, &n);
        if (size == 0)
            return false;
        for (size_t half = at / 2; half < (at + size) / 2; half++) {
            if (covered[half / 8] & 1u << half % 8)
                return false;
            covered[half / 8] |= (uint8_t)(1u << half % 8);
        }
        sum += size;
    }
    return sum == w->page_bytes - upper;
}

/* ---- trees ---- */

static int key_cmp(const struct tree *t, struct bytes a, struct bytes b)
{
    if (t->is_free_list) {
        uint64_t x = native(a.at, 8), y = native(b.at, 8);
        return x < y ? -1 : x > y;
    }
    size_t both = a.len < b.len ? a.len : b.len;
    int c = memcmp(a.at, b.at, both);
    return c != 0 ? c : a.len < b.len ? -1 : a.len > b.len;
}

/* Keys from `low` (included) to `high` (excluded); at NULL: no bound. */
struct range {
    struct bytes low, high;
};

static bool key_is_within(const struct tree *t, struct bytes key, struct range r)
{
    if (t->is_free_list && key.len != 8)
        return false;
    return key.len > 0 && (!r.low.at || key_cmp(t, r.low, key) <= 0) &&
           (!r.high.at || key_cmp(t, key, r.high) < 0);
}

static void walk_tree(struct walk *w, const uint8_t head[TREE_HEAD], bool is_free_list, bool is_main);

/* Takes the run of pages of a large value. It may be longer than needed: LMDB shortens values in place. */
static struct bytes open_overflow(struct walk *w, struct tree *t, uint64_t page, uint64_t value_bytes)
{
    struct bytes none = {NULL, 0};
    const uint8_t *p = open_page(w, page, FLAG_OVERFLOW);
    if (!p)
        return none;
    uint64_t pages = native(p + 12, 4);
    if (pages == 0 || pages > w->last_page + 1 - page || value_bytes > pages * w->page_bytes - PAGE_HEAD) {
        find(w, "a large value does not fit its pages");
        return none;
    }
    for (uint64_t i = 1; i < pages; i++)
        if (!take(w, page + i))
            return none;
    t->overflows += pages;
    return bytes_of(p + PAGE_HEAD, (size_t)value_bytes);
}

static void walk_free_list(struct walk *w, struct bytes value)
{
    uint64_t count = value.len >= 8 ? native(value.at, 8) : UINT64_MAX, before = UINT64_MAX;
    if (count > value.len / 8 - 1) {
        find(w, "the list of free pages is not readable");
        return;
    }
    for (uint64_t i = 1; i <= count; i++) {
        uint64_t page = native(value.at + 8 * i, 8);
        if (page >= before)
            find(w, "the list of free pages is out of order");
        if (w->flaw || !take(w, page))
            return;
        before = page;
    }
}

static void walk_value(struct walk *w, struct tree *t, const struct node *n)
{
    struct bytes value = n->value;
    uint16_t expected = t->is_main ? NODE_TREE : 0;
    if ((n->flags & ~NODE_BIG) != expected) {
        find(w, "a value is not of the kind that belongs there");
        return;
    }
    if (n->flags & NODE_BIG)
        value = open_overflow(w, t, native(n->value.at, 8), n->big_bytes);
    if (w->flaw)
        return;
    if (t->is_free_list)
        walk_free_list(w, value);
    else if (t->is_main && value.len == TREE_HEAD)
        walk_tree(w, value.at, false, false);
    else if (t->is_main)
        find(w, "the head of a database has the wrong size");
}

static void walk_leaf(struct walk *w, struct tree *t, uint64_t page, struct range range)
{
    const uint8_t *p = open_page(w, page, FLAG_LEAF);
    if (p && (!page_is_packed(w, p, false) || node_count(p) == 0))
        find(w, "a page's entries do not fit it");
    t->leaves++;
    for (size_t i = 0; !w->flaw && i < node_count(p); i++) {
        struct node n = {0};
        if (read_node(w, p, i, false, &n) == 0 || !key_is_within(t, n.key, range)) {
            find(w, "keys are out of order");
            return;
        }
        if (i > 0 && key_cmp(t, range.low, n.key) == 0)
            find(w, "a key is there twice");
        range.low = n.key;
        t->entries++;
        if (!w->flaw)
            walk_value(w, t, &n);
    }
}

/* Recursion is bounded by the depth that the tree's head claims, at most DEPTH_MAX. */
static void walk_page(struct walk *w, struct tree *t, uint64_t page, unsigned depth, struct range range)
{
    if (depth == t->depth) {
        walk_leaf(w, t, page, range);
        return;
    }
    const uint8_t *p = open_page(w, page, FLAG_BRANCH);
    /* LMDB asserts that a branch of anything but the free list has two children. */
    if (p && (!page_is_packed(w, p, true) || node_count(p) < (t->is_free_list ? 1 : 2)))
        find(w, "a page's branches do not fit it");
    t->branches++;
    for (size_t i = 0; !w->flaw && i < node_count(p); i++) {
        struct node n = {0}, after = {0};
        bool is_last = i + 1 == node_count(p);
        size_t read = read_node(w, p, i, true, &n);
        if (!is_last && read)
            read = read_node(w, p, i + 1, true, &after);
        struct range part = {i > 0 ? n.key : range.low, is_last ? range.high : after.key};
        if (!read || (i > 0 && !key_is_within(t, n.key, range)) ||
            (!is_last && !key_is_within(t, after.key, range))) {
            find(w, "branches are out of order");
            return;
        }
        walk_page(w, t, n.child, depth + 1, part);
    }
}

static void walk_tree(struct walk *w, const uint8_t head[TREE_HEAD], bool is_free_list, bool is_main)
{
    struct tree t = {.flags = (uint16_t)native(head + 4, 2),
                     .depth = (uint16_t)native(head + 6, 2),
                     .root = native(head + 40, 8),
                     .is_free_list = is_free_list,
                     .is_main = is_main};
    bool is_empty = t.root == no_page;
    /* The free list's flags share their field with the environment's, of which the low byte says nothing. */
    if ((is_free_list ? t.flags & 0xff : t.flags) != (is_free_list ? TREE_INTEGER_KEY : 0) ||
        t.depth > DEPTH_MAX || is_empty != (t.depth == 0))
        find(w, "the head of a database is not sound");
    if (!w->flaw && !is_empty)
        walk_page(w, &t, t.root, 1, (struct range){{NULL, 0}, {NULL, 0}});
    if (!w->flaw && (t.branches != native(head + 8, 8) || t.leaves != native(head + 16, 8) ||
                     t.overflows != native(head + 24, 8) || t.entries != native(head + 32, 8)))
        find(w, "the counts of a database are wrong");
}

/* ---- the file ---- */

/* The meta page of the newest transaction; NULL if the two cannot be told. */
static const uint8_t *newest_meta(struct bytes image, size_t page_bytes)
{
    const uint8_t *a = image.at, *b = image.at + page_bytes;
    bool are_metas = native(a, 8) == 0 && native(b, 8) == 1 && native(a + 10, 2) == FLAG_META &&
                     native(b + 10, 2) == FLAG_META;
    if (!are_metas || native(a + PAGE_HEAD + 24, 4) != native(b + PAGE_HEAD + 24, 4))
        return NULL;
    return native(a + PAGE_HEAD + 128, 8) >= native(b + PAGE_HEAD + 128, 8) ? a : b;
}

static const char *walk_file(struct walk *w, const uint8_t *meta)
{
    w->last_page = native(meta + PAGE_HEAD + 120, 8);
    if (w->last_page < 1 || w->last_page >= w->image.len / w->page_bytes)
        return "it is shorter than its header says";
    w->taken = calloc(1, w->last_page / 8 + 1);
    if (!w->taken)
        return "there is no memory to look at it";
    walk_tree(w, meta + PAGE_HEAD + 24, true, false);
    if (!w->flaw)
        walk_tree(w, meta + PAGE_HEAD + 72, false, true);
    free(w->taken);
    return w->flaw;
}

const char *pages_flaw(struct bytes image)
{
    struct walk w = {.image = image};
    if (image.len < 2 * 512)
        return "it is too short";
    w.page_bytes = native(image.at + PAGE_HEAD + 24, 4);
    bool is_power = (w.page_bytes & (w.page_bytes - 1)) == 0;
    if (w.page_bytes < 512 || w.page_bytes > PAGE_BYTES_MAX || !is_power || image.len < 2 * w.page_bytes)
        return "its header names an impossible page size";
    const uint8_t *meta = newest_meta(image, w.page_bytes);
    return meta ? walk_file(&w, meta) : "its header is not that of a state file";
}
