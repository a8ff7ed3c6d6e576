/* Regular expressions that cost one step per byte of the text, whatever the pattern and whatever the text:
 * nobody can keep an agent busy with a text (ReDoS, CWE-1333). A pattern becomes a deterministic automaton when the policy
 * is compiled, and one whose automaton would be too large is refused there, by the author's own machine. So matching needs no memory, cannot fail, and any number of
 * threads share one automaton; and what two patterns have in common can be computed, not guessed.
 *
 * The syntax is RE2's without captures, multi-line mode and Unicode classes; a pattern always stands for the whole text
 * (as Envoy's safe_regex, RE2::FullMatch). Texts are UTF-8; one that is not fits no pattern. docs/policy.md has it all.
 *
 *   pattern -> tree (regex_parse.c) -> program, as Thompson 1968 -> automaton by subsets, Rabin and Scott 1959
 *   (regex_build.c) -> table, without states that lead nowhere
 *
 * Why not a library: RE2 is C++; PCRE2, Oniguruma and libc's regcomp are not linear or not bounded (the TRE of Debian 12
 * overruns its stack on `((a{200}){200}){10}`); Hyperscan and Vectorscan need scratch memory per thread and are C++. */
#ifndef POLICY_REGEX_H
#define POLICY_REGEX_H

#include "base/utf8.h"
#include "policy/arena.h"

/* These decide which patterns compile, on every agent alike, so they are part of the language: they may rise with a
 * new feature, never fall. */
enum {
    REGEX_BYTES_MAX = 1024,     /* of a pattern */
    REGEX_DEPTH_MAX = 64,       /* groups inside each other */
    REGEX_REPEAT_MAX = 1000,    /* m and n of {m,n} */
    REGEX_PROGRAM_MAX = 2000,   /* instructions, with repetitions written out */
    REGEX_STATES_MAX = 4096,    /* of one automaton */
    REGEX_CELLS_MAX = 65536,    /* states x classes of characters: 128 KiB */
    REGEX_STEPS_MAX = 4000000,  /* of building one: some 10 ms */
    REGEX_ALL_CELLS = 4000000,  /* of all patterns of a policy: 8 MiB */
    REGEX_ALL_STEPS = 64000000, /* of all of them, comparisons too; and as many for their samples */
};
struct regex_budget { /* what all patterns of one policy may still cost; deterministic, no clock */
    size_t cells, steps;
    size_t
        sample_steps; /* of finding a text for each: apart, so that the patterns that follow lose nothing */
};
static inline struct regex_budget regex_budget_full(void)
{
    return (struct regex_budget){REGEX_ALL_CELLS, REGEX_ALL_STEPS, REGEX_ALL_STEPS};
}

struct regex_class { /* characters from `from` up to the next entry's belong to class `id` */
    uint32_t from;
    uint16_t id;
};
struct regex { /* immutable once built */
    struct bytes pattern;
    uint16_t ascii[128]; /* the class of each ASCII character */
    size_t range_count;
    const struct regex_class *range; /* rising, from 0; all of Unicode */
    uint32_t states, classes;
    uint16_t start;       /* 0 is the state from which nothing fits any more */
    const uint16_t *next; /* [state * classes + class] */
    const bool *accepts;  /* [state] */
    struct bytes sample;  /* a shortest text that fits (of the form asked for); `at` NULL: there is none */
};
struct regex_fault {
    size_t at;        /* byte of the pattern */
    const char *what; /* "what; what to do"; NULL: no memory, which the arena remembers */
};
/* Compiles; all that is kept lives in the arena, `pattern` too is copied. `form_or_null`: texts are of this form (paths
 * as they are forwarded), for `sample`. NULL: told in *fault. */
const struct regex *regex_compile(struct arena *a, struct bytes pattern, const struct regex *form_or_null,
                                  struct regex_budget *b, struct regex_fault *fault);

/* -- matching: the path of every request ------------------------------------------------------------- */

struct regex_run { /* one text that comes byte by byte */
    const struct regex *r;
    uint16_t state;
    struct utf8 utf8;
};
static inline struct regex_run regex_begin(const struct regex *r)
{
    return (struct regex_run){.r = r, .state = r->start};
}
/* False: nothing that follows can make it fit. */
bool regex_feed(struct regex_run *run, uint8_t byte);
bool regex_end(const struct regex_run *run);
bool regex_fits(const struct regex *r, struct bytes text);
/* One step of the automaton. */
uint16_t regex_next(const struct regex *r, uint16_t state, uint32_t character);

/* -- what two sets of texts have in common: compiling and comparing only ---------------------------------- */

struct regex_side {
    const struct regex *regex; /* or, if NULL, the texts that begin with `begin` */
    struct bytes begin;        /* ASCII */
    bool by_segment;           /* and end there, or go on with a slash */
};
enum regex_answer { REGEX_NO, REGEX_YES, REGEX_UNKNOWN /* the budget is used up */ };
/* Is every text of `b` one of `a`? `form_or_null`: of those of this form. */
enum regex_answer regex_covers(const struct regex_side *a, const struct regex_side *b,
                               const struct regex *form_or_null, struct regex_budget *budget);
/* Is there a text of both? */
enum regex_answer regex_meets(const struct regex_side *a, const struct regex_side *b,
                              const struct regex *form_or_null, struct regex_budget *budget);
/* A shortest text of `r`, in the arena. REGEX_NO: there is none, or no memory (which the arena remembers); `out->at` is NULL unless
 * REGEX_YES. */
enum regex_answer regex_sample(struct bytes *out, struct arena *a, const struct regex *r,
                               const struct regex *form_or_null, struct regex_budget *budget);

#endif
