/* Tree to program to automaton. Every loop here counts its steps against the budget, so that no pattern, however
 * written, costs more than it allows; all in memory of its own, of which only the table is kept. */
#include "policy/regex_parse.h"

#include <assert.h>

/* One instruction of Thompson's machine. */
enum op { OP_SET, OP_SPLIT, OP_PASS, OP_BEGIN, OP_END, OP_FITS };
struct inst {
    enum op op;
    uint16_t to, or_to; /* SPLIT has two ways on */
    uint16_t set;       /* index of the tree's node */
};
struct state { /* a set of instructions that wait for a character */
    const uint64_t *waits;
    bool accepts;
};
enum { WORDS_MAX = (REGEX_PROGRAM_MAX + 63) / 64, TABLE_SIZE = 4 * REGEX_STATES_MAX };

struct build {
    struct arena *scratch;
    struct regex_budget *budget;
    size_t steps, cells; /* left, for this pattern */
    const char *fault;
    const struct regex_tree *t;
    struct inst inst[REGEX_PROGRAM_MAX];
    uint16_t inst_count;
    size_t words; /* of a set of instructions */
    /* classes of characters */
    size_t range_count, class_count;
    struct regex_class *range;
    uint8_t *member; /* [set's node * class_count + class] */
    /* the state that is being made */
    uint64_t waits[WORDS_MAX];
    bool accepts;
    uint16_t seen[REGEX_PROGRAM_MAX], seen_at_end[REGEX_PROGRAM_MAX], round;
    uint16_t stack[REGEX_PROGRAM_MAX], stack_at_end[REGEX_PROGRAM_MAX]; /* none twice: `seen` */
    /* states by their sets */
    struct state state[REGEX_STATES_MAX];
    size_t state_count;
    uint16_t table[TABLE_SIZE]; /* place + 1; 0: free */
    uint16_t *next;             /* [state * class_count + class], grown by doubling */
    size_t next_size;
};

static void give_up(struct build *b, const char *why)
{
    b->fault = b->fault ? b->fault : why;
}

static bool spend(struct build *b, size_t steps)
{
    if (b->steps < steps)
        give_up(b, "the pattern needs too many states; repeat less, above all behind `.*`");
    else
        b->steps -= steps;
    return !b->fault;
}

/* -- program ------------------------------------------------------------------------------------------- */

static uint16_t emit(struct build *b, struct inst i)
{
    if (b->inst_count == REGEX_PROGRAM_MAX) {
        give_up(b, "the pattern is too large once its repetitions are written out; repeat less");
        return 0;
    }
    b->inst[b->inst_count] = i;
    return b->inst_count++;
}

static uint16_t emit_node(struct build *b, uint16_t node, uint16_t to);

/* The copies that may be left out: (x(x(x)?)?)? */
static uint16_t emit_optional(struct build *b, const struct regex_node *n, uint16_t to)
{
    uint16_t at = to;
    for (unsigned i = n->min; i < n->max && !b->fault; i++)
        at = emit(b, (struct inst){.op = OP_SPLIT, .to = emit_node(b, n->left, at), .or_to = to});
    return at;
}

static uint16_t emit_star(struct build *b, uint16_t node, uint16_t to)
{
    uint16_t split = emit(b, (struct inst){.op = OP_SPLIT, .or_to = to});
    uint16_t body = emit_node(b, node, split);
    b->inst[split].to = body;
    return split;
}

static uint16_t emit_repeat(struct build *b, const struct regex_node *n, uint16_t to)
{
    uint16_t at = n->max == REGEX_FOREVER ? emit_star(b, n->left, to)
                                          : emit_optional(b, n, emit(b, (struct inst){OP_PASS, .to = to}));
    for (unsigned i = 0; i < n->min && !b->fault; i++)
        at = emit_node(b, n->left, at);
    return at;
}

/* Backwards: what comes after is there already, at `to`. Each call emits at least one instruction, so that copies of
 * nothing come to an end too. */
static uint16_t emit_node(struct build *b, uint16_t node, uint16_t to)
{
    static const enum op ops[] = {
        [REGEX_NOTHING] = OP_PASS, [REGEX_SET] = OP_SET, [REGEX_BEGIN] = OP_BEGIN, [REGEX_END] = OP_END};
    const struct regex_node *n = &b->t->node[node];
    uint16_t left;
    if (b->fault)
        return 0;
    switch (n->kind) {
    case REGEX_NOTHING:
    case REGEX_SET:
    case REGEX_BEGIN:
    case REGEX_END:
        return emit(b, (struct inst){.op = ops[n->kind], .to = to, .set = node});
    case REGEX_THEN:
        return emit_node(b, n->left, emit_node(b, n->right, to));
    case REGEX_OR:
        left = emit_node(b, n->left, to);
        return emit(b, (struct inst){.op = OP_SPLIT, .to = left, .or_to = emit_node(b, n->right, to)});
    case REGEX_REPEAT:
        return emit_repeat(b, n, to);
    }
    return 0;
}

/* -- classes: characters that no set of the pattern tells apart ------------------------------------------ */

static bool is_set(const struct regex_node *n)
{
    return n->kind == REGEX_SET;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Cuts Unicode wherever a range of the pattern begins or has ended. */
static void cut_ranges(struct build *b)
{
    const struct regex_tree *t = b->t;
    size_t count = 0;
    uint32_t *edge = arena_take(b->scratch, 2 * t->range_count + 1, sizeof *edge);
    b->range = arena_take(b->scratch, 2 * t->range_count + 1, sizeof *b->range);
    if (!edge || !b->range)
        return;
    edge[count++] = 0;
    for (size_t i = 0; i < t->range_count; i++) {
        edge[count++] = t->range[i].lo;
        if (t->range[i].hi < REGEX_CHARACTER_MAX)
            edge[count++] = t->range[i].hi + 1;
    }
    qsort(edge, count, sizeof *edge, by_number);
    for (size_t i = 0; i < count; i++)
        if (i == 0 || edge[i] != edge[i - 1])
            b->range[b->range_count++].from = edge[i];
    b->class_count = 1;
}

/* Calls of this split every class into those of its characters that are in the set and those that are not. */
static void split_by(struct build *b, const struct regex_node *set, uint16_t *is_in, uint16_t *is_out)
{
    const struct regex_range *r = b->t->range + set->range;
    size_t at = 0, count = 0;
    memset(is_in, 0, b->range_count * sizeof *is_in);
    memset(is_out, 0, b->range_count * sizeof *is_out);
    for (size_t i = 0; i < b->range_count; i++) {
        struct regex_class *c = &b->range[i];
        while (at < set->range_count && r[at].hi < c->from)
            at++;
        uint16_t *id = at < set->range_count && r[at].lo <= c->from ? &is_in[c->id] : &is_out[c->id];
        if (*id == 0)
            *id = (uint16_t)++count;
        c->id = (uint16_t)(*id - 1);
    }
    b->class_count = count;
}

static void make_classes(struct build *b)
{
    cut_ranges(b);
    uint16_t *is_in = arena_take(b->scratch, b->range_count, sizeof *is_in),
             *is_out = arena_take(b->scratch, b->range_count, sizeof *is_out);
    for (size_t i = 0; is_in && is_out && i < b->t->node_count; i++)
        if (is_set(&b->t->node[i]) && spend(b, b->range_count))
            split_by(b, &b->t->node[i], is_in, is_out);
}

static void make_members(struct build *b)
{
    if (!spend(b, b->t->node_count * b->class_count))
        return;
    b->member = arena_take(b->scratch, b->t->node_count * b->class_count, 1);
    for (size_t n = 0; b->member && n < b->t->node_count; n++) {
        const struct regex_node *set = &b->t->node[n];
        size_t i = 0;
        for (size_t at = 0; is_set(set) && at < set->range_count; at++) {
            struct regex_range r = b->t->range[set->range + at];
            while (b->range[i].from < r.lo)
                i++;
            for (; i < b->range_count && b->range[i].from <= r.hi; i++)
                b->member[n * b->class_count + b->range[i].id] = 1;
        }
    }
}

/* -- states ------------------------------------------------------------------------------------------------ */

static void open_state(struct build *b)
{
    memset(b->waits, 0, b->words * sizeof *b->waits);
    b->accepts = false;
    if (++b->round == 0) { /* marks of 65,536 states before would look new */
        memset(b->seen, 0, sizeof b->seen);
        memset(b->seen_at_end, 0, sizeof b->seen_at_end);
        b->round = 1;
    }
}

struct walk {
    bool at_begin, at_end; /* of the text */
    size_t depth;
};

static void push(struct build *b, struct walk *w, uint16_t i)
{
    uint16_t *seen = w->at_end ? b->seen_at_end : b->seen;
    if (seen[i] == b->round)
        return;
    seen[i] = b->round;
    (w->at_end ? b->stack_at_end : b->stack)[w->depth++] = i;
}

/* All that can be reached without a character. Behind a $ nothing can be waited for, only the end be reached. */
static void reach(struct build *b, uint16_t from, bool at_begin, bool at_end)
{
    struct walk w = {at_begin, at_end, 0};
    push(b, &w, from);
    while (w.depth && spend(b, 1)) {
        uint16_t at = (at_end ? b->stack_at_end : b->stack)[--w.depth];
        const struct inst *i = &b->inst[at];
        switch (i->op) {
        case OP_SET:
            b->waits[at / 64] |= at_end ? 0 : UINT64_C(1) << at % 64;
            break;
        case OP_FITS:
            b->accepts = true;
            break;
        case OP_END:
            if (at_end)
                push(b, &w, i->to);
            else
                reach(b, i->to, at_begin, true);
            break;
        case OP_BEGIN:
            if (at_begin)
                push(b, &w, i->to);
            break;
        case OP_SPLIT:
            push(b, &w, i->or_to);
            push(b, &w, i->to);
            break;
        case OP_PASS:
            push(b, &w, i->to);
            break;
        }
    }
}

static uint64_t hash_of(const struct build *b)
{
    uint64_t h = b->accepts ? UINT64_C(0x9e3779b97f4a7c15) : 1;
    for (size_t i = 0; i < b->words; i++)
        h = (h ^ b->waits[i] ^ h >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return h ^ h >> 32;
}

static bool is_open_state(const struct build *b, const struct state *s)
{
    return s->accepts == b->accepts && memcmp(s->waits, b->waits, b->words * sizeof *b->waits) == 0;
}

/* The number of the state just made; a new one if there was none like it. 0: the dead one, or a fault. */
static uint16_t close_state(struct build *b)
{
    size_t at = hash_of(b) % TABLE_SIZE;
    for (; b->table[at]; at = (at + 1) % TABLE_SIZE)
        if (is_open_state(b, &b->state[b->table[at] - 1]))
            return (uint16_t)(b->table[at] - 1);
    if (b->state_count == REGEX_STATES_MAX || b->cells < b->class_count) {
        give_up(b, "the pattern needs too many states; repeat less, above all behind `.*`");
        return 0;
    }
    uint64_t *waits = arena_take(b->scratch, b->words, sizeof *waits);
    if (!waits)
        return 0;
    memcpy(waits, b->waits, b->words * sizeof *waits);
    b->cells -= b->class_count;
    b->state[b->state_count] = (struct state){waits, b->accepts};
    b->table[at] = (uint16_t)++b->state_count;
    return (uint16_t)(b->state_count - 1);
}

static uint16_t state_after(struct build *b, const struct state *s, size_t cls)
{
    open_state(b);
    for (size_t w = 0; w < b->words && !b->fault; w++)
        for (uint64_t left = s->waits[w]; left && spend(b, 1); left &= left - 1) {
            const struct inst *i = &b->inst[w * 64 + (size_t)__builtin_ctzll(left)];
            if (b->member[i->set * b->class_count + cls])
                reach(b, i->to, false, false);
        }
    return b->fault ? 0 : close_state(b);
}

static bool grow_next(struct build *b)
{
    if (b->state_count * b->class_count <= b->next_size)
        return true;
    size_t size = 2 * b->state_count * b->class_count;
    uint16_t *next = arena_take(b->scratch, size, sizeof *next);
    if (!next)
        return false;
    if (b->next_size)
        memcpy(next, b->next, b->next_size * sizeof *next);
    b->next = next;
    b->next_size = size;
    return true;
}

/* Rabin and Scott's construction, in the order in which states are found. State 0 waits for nothing. */
static uint16_t make_states(struct build *b, uint16_t first)
{
    open_state(b);
    (void)close_state(b);
    open_state(b);
    reach(b, first, true, false);
    uint16_t start = close_state(b);
    for (size_t s = 0; s < b->state_count && !b->fault && !b->scratch->failed; s++)
        for (size_t c = 0; c < b->class_count && grow_next(b); c++)
            b->next[s * b->class_count + c] = state_after(b, &b->state[s], c);
    return start;
}

/* -- what is kept ------------------------------------------------------------------------------------------- */

/* Per state its new number; 0 for those from which nothing can be accepted: found backwards from those that accept. */
static uint16_t *number_states(struct build *b, uint32_t *count)
{
    size_t cells = b->state_count * b->class_count, depth = 0;
    uint32_t *into = arena_take(b->scratch, b->state_count, sizeof *into), /* a cell + 1 that leads there */
        *also = arena_take(b->scratch, cells, sizeof *also);               /* a further one */
    uint16_t *number = arena_take(b->scratch, b->state_count, sizeof *number),
             *stack = arena_take(b->scratch, b->state_count, sizeof *stack);
    if (!into || !also || !number || !stack)
        return NULL;
    for (size_t i = 0; i < cells; i++) {
        also[i] = into[b->next[i]];
        into[b->next[i]] = (uint32_t)i + 1;
    }
    for (size_t s = 0; s < b->state_count; s++)
        if (b->state[s].accepts)
            number[stack[depth++] = (uint16_t)s] = 1;
    while (depth)
        for (uint32_t cell = into[stack[--depth]]; cell; cell = also[cell - 1]) {
            size_t from = (cell - 1) / b->class_count;
            if (!number[from])
                number[stack[depth++] = (uint16_t)from] = 1;
        }
    *count = 1;
    for (size_t s = 0; s < b->state_count; s++)
        number[s] = number[s] ? (uint16_t)(*count)++ : 0;
    return number;
}

static bool copy_table(struct build *b, struct arena *a, struct regex *r, const uint16_t *number)
{
    uint16_t *next = arena_take(a, r->states * b->class_count, sizeof *next);
    bool *accepts = arena_take(a, r->states, sizeof *accepts);
    if (!next || !accepts)
        return false;
    for (size_t s = 0; s < b->state_count; s++) {
        accepts[number[s]] |= number[s] && b->state[s].accepts;
        for (size_t c = 0; number[s] && c < b->class_count; c++)
            next[number[s] * b->class_count + c] = number[b->next[s * b->class_count + c]];
    }
    r->next = next;
    r->accepts = accepts;
    return true;
}

static bool copy_ranges(struct build *b, struct arena *a, struct regex *r)
{
    struct regex_class *range = arena_take(a, b->range_count, sizeof *range);
    for (size_t i = 0; range && i < b->range_count; i++)
        if (r->range_count == 0 || range[r->range_count - 1].id != b->range[i].id)
            range[r->range_count++] = b->range[i];
    r->range = range;
    for (size_t c = 0, i = 0; range && c < sizeof r->ascii / sizeof *r->ascii; c++) {
        i += i + 1 < r->range_count && range[i + 1].from == c;
        r->ascii[c] = range[i].id;
    }
    return range;
}

static struct regex *keep(struct build *b, struct arena *a, struct bytes pattern, uint16_t start)
{
    struct regex *r = arena_take(a, 1, sizeof *r);
    uint32_t states = 0;
    const uint16_t *number = r ? number_states(b, &states) : NULL;
    const char *text = arena_text(a, pattern.at, pattern.len);
    if (!number || !text)
        return NULL;
    r->pattern = bytes_of(text, pattern.len);
    r->states = states;
    r->classes = (uint32_t)b->class_count;
    r->start = number[start];
    return copy_ranges(b, a, r) && copy_table(b, a, r, number) ? r : NULL;
}

static const char too_large_together[] =
    "the patterns of this policy are too large together; use fewer, or exact and prefix";

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static struct regex *build(struct build *b, struct arena *a, struct bytes pattern)
{
    uint16_t last = emit(b, (struct inst){.op = OP_FITS}), first = emit_node(b, b->t->root, last), start = 0;
    b->words = (b->inst_count + 63u) / 64;
    if (!b->fault)
        make_classes(b);
    if (!b->fault && !b->scratch->failed)
        make_members(b);
    if (!b->fault && !b->scratch->failed)
        start = make_states(b, first);
    return b->fault || b->scratch->failed ? NULL : keep(b, a, pattern, start);
}

static struct regex *compile_tree(struct build *b, struct arena *a, struct bytes pattern,
                                  struct regex_budget *budget, struct regex_fault *fault)
{
    b->steps = least(budget->steps, REGEX_STEPS_MAX);
    b->cells = least(budget->cells, REGEX_CELLS_MAX);
    size_t steps = b->steps, cells = b->cells;
    struct regex *r = build(b, a, pattern);
    bool is_all_used = budget->steps < REGEX_STEPS_MAX || budget->cells < REGEX_CELLS_MAX;
    budget->steps -= steps - b->steps;
    budget->cells -= r ? cells - b->cells : 0;
    fault->what = b->fault && is_all_used ? too_large_together : b->fault;
    return r;
}

const struct regex *regex_compile(struct arena *a, struct bytes pattern, const struct regex *form_or_null,
                                  struct regex_budget *budget, struct regex_fault *fault)
{
    struct arena scratch = {0};
    struct regex_tree *t = arena_take(&scratch, 1, sizeof *t);
    struct build *b = arena_take(&scratch, 1, sizeof *b);
    struct regex *r = NULL;
    *fault = (struct regex_fault){0};
    if (t && b && regex_parse(t, pattern, fault)) {
        b->scratch = &scratch;
        b->t = t;
        r = compile_tree(b, a, pattern, budget, fault);
    }
    if (r && regex_sample(&r->sample, a, r, form_or_null, budget) == REGEX_UNKNOWN) {
        fault->what = too_large_together;
        r = NULL;
    }
    a->failed |= scratch.failed;
    arena_fini(&scratch);
    return a->failed ? NULL : r;
}
