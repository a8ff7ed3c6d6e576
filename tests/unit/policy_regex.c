/* Regular expressions: what fits, what is refused and why, what it may cost, and that the automaton says what libc's
 * regexec and a slow reading of the pattern say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <regex.h>

#include "base/buf.h"
#include "base/rng.h"
#include "policy/path.h"
#include "regex_model.h"

static const struct regex *built(struct arena *a, const char *pattern, const struct regex *form)
{
    struct regex_budget b = regex_budget_full();
    struct regex_fault fault;
    const struct regex *r = regex_compile(a, bytes_str(pattern), form, &b, &fault);
    if (!r)
        fail_msg("%s: %zu: %s", pattern, fault.at, fault.what);
    return r;
}

static void what_fits(void **state)
{
    (void)state;
    static const struct {
        const char *pattern, *fits, *not ; /* texts, each ends in a blank-free newline */
    } rows[] = {
        {"", "\n", "a\n"},
        {"abc", "abc\n", "ab\nabcd\nxabc\n\n"},
        {"a|b|", "a\nb\n\n", "ab\n"},
        {"/users/[0-9]+", "/users/7\n/users/123\n", "/users/\n/users/7/\n/users/x\n"},
        {"(a|b)*c", "c\nabbac\n", "abba\n"},
        {"(?:ab){2,3}", "abab\nababab\n", "ab\nabababab\n"},
        {"a{2}", "aa\n", "a\naaa\n"},
        {"a{2,}", "aa\naaaaa\n", "a\n"},
        {"a{0}b", "b\n", "ab\n"},
        {"a?b+?c*?", "b\nabbc\n", "ac\n"},
        {"^abc$", "abc\n", "abc \n"},
        {"\\Aabc\\z", "abc\n", "ab\n"},
        {"a^b", "", "ab\na^b\n"},
        {"(^a|b)c", "ac\nbc\n", "c\n"},
        {"x*^a", "a\n", "xa\n"},
        {"a$b*", "a\n", "ab\n"},
        {"(a$|ab)", "a\nab\n", "b\n"},
        {"(a|$|^)*", "\naa\n", "b\n"},
        {".", "a\n\xc3\xa4\n\xe2\x82\xac\n\xf0\x9f\x98\x80\n", "\xc3\n\xff\nab\n\n\xed\xa0\x80\n\xc0\x80\n"},
        {"...",
         "abc\n\xc3\xa4"
         "bc\n",
         "ab\n\xc3\xa4\xc3\n"},
        {"[\xc3\xa4\xc3\xb6]+", "\xc3\xa4\xc3\xb6\n", "a\n\xc3\n"},
        {"[^a]", "b\n\xc3\xa4\n", "a\n\n"},
        {"[]a]+", "]a]\n", "b\n"},
        {"[^]a]", "b\n", "]\n"},
        {"[a-]+", "a-a\n", "b\n"},
        {"[-a]+", "a-a\n", "b\n"},
        {"[\\]\\-\\\\]+", "]-\\\n", "a\n"},
        {"\\d+\\.\\d+", "1.20\n", "1x20\n1.\n"},
        {"\\w+\\s\\S", "a_Z9 x\n", "a-b x\na  \n"},
        {"[\\d\\-x]+", "1-x\n", "y\n"},
        {"[^\\d]", "a\n", "7\n"},
        {"\\D\\W", "a-\n", "1-\naa\n"},
        {"[[:alpha:]_]+", "aZ_\n", "a1\n"},
        {"[[:^digit:]]+", "abc\n", "a1\n"},
        {"[[:xdigit:]]{4}", "bEe5\n", "beeg\n"},
        {"(?i)beta", "beta\nBETA\nBeTa\n", "bet\n"},
        {"(?i:b)eta", "Beta\nbeta\n", "BETA\n"},
        {"x(?i)y|z", "xy\nxY\nZ\n", "XY\n"},
        {"((?i)a)b", "ab\nAb\n", "AB\n"},
        {"(?i)[a-c]+[^x]", "aBCz\n", "aX\nax\n"},
        {"a\\x41\\x{20ac}", "aA\xe2\x82\xac\n", "aa\n"},
        {"\\t\\.\\*\\/\\{\\}", "\t.*/{}\n", "t.*/{}\n"},
        {"}]", "}]\n", "}\n"},
        {"(((a*)*)*)*b", "b\naaaab\n", "aaa\n"},
        {"(a|ab)(c|bcd)(d*)", "abcd\nac\nacd\nabcdd\n", "abd\n"},
        {"(|a)+", "\naaa\n", "b\n"},
        {"v[0-9]+(\\.[0-9]+){0,2}(-(alpha|beta)[0-9]*)?", "v1\nv1.2.3\nv10.0-beta2\n",
         "v1.2.3.4\nv1-gamma\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (int fits = 0; fits < 2; fits++) {
            struct arena a = {0};
            const struct regex *r = built(&a, rows[i].pattern, NULL);
            for (const char *t = fits ? rows[i].fits : rows[i].not, *end; (end = strchr(t, '\n'));
                 t = end + 1)
                if (regex_fits(r, bytes_of(t, (size_t)(end - t))) != fits)
                    fail_msg("%s: `%.*s` should%s fit", rows[i].pattern, (int)(end - t), t,
                             fits ? "" : " not");
            arena_fini(&a);
        }
}

static void a_line_break_fits_no_dot(void **state)
{
    (void)state;
    struct arena a = {0};
    assert_false(regex_fits(built(&a, "a.b", NULL), bytes_str("a\nb")));
    assert_true(regex_fits(built(&a, "(?s)a.b", NULL), bytes_str("a\nb")));
    assert_true(regex_fits(built(&a, "a[^x]b", NULL), bytes_str("a\nb")));
    assert_true(regex_fits(built(&a, "a\\nb\\x00", NULL), bytes_of("a\nb\0", 4)));
    arena_fini(&a);
}

static void what_is_refused_and_where(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        size_t at;
        const char *what;
    } rows[] = {
        {"a(?=b)", 3, "look-around cannot be matched in linear time"},
        {"(?!b)", 2, "look-around"},
        {"x(?<=b)", 3, "look-around"},
        {"x(?<!b)", 3, "look-around"},
        {"(a)\\1", 3, "a back reference cannot be matched in linear time; write what is repeated twice"},
        {"\\bword", 0, "word boundaries are not part of the language"},
        {"\\pL", 0, "Unicode classes"},
        {"\\Qa.b\\E", 0, "\\Q is not part"},
        {"a\\y", 1, "no such escape"},
        {"\\", 0, "a backslash at the end"},
        {"(?P<n>a)", 2, "nothing is captured here"},
        {"(?<n>a)", 2, "nothing is captured here"},
        {"(?m)a", 2, "no such group"},
        {"(?>a)", 2, "no such group"},
        {"(?i-s:a)", 3, "no such group"},
        {"/users/{id}", 7, "`{` begins a repetition"},
        {"{2}", 0, "nothing stands before `{`"},
        {"a{2", 1, "`{` begins a repetition"},
        {"a{,2}", 1, "`{` begins a repetition"},
        {"a{3,2}", 1, "`{` begins a repetition"},
        {"a{1001}", 1, "`{` begins a repetition: {m}, {m,} or {m,n}, up to 1000"},
        {"a{99999999999}", 1, "`{` begins a repetition"},
        {"*a", 0, "nothing stands before it"},
        {"a|+", 2, "nothing stands before it"},
        {"(?)", 2, NULL},
        {"a**", 2, "two repetitions of the same"},
        {"a+*", 2, "two repetitions"},
        {"a++", 2, "two repetitions"},
        {"a{2}{3}", 4, "two repetitions"},
        {"(a", 0, "`(` is not closed"},
        {"a)", 1, "`)` closes nothing"},
        {"x[abc", 1, "`[` is not closed"},
        {"[z-a]", 1, "the range ends before it begins"},
        {"[[:word", 1, "no such class"},
        {"[[:nope:]]", 1, "no such class"},
        {"[\\q]", 1, "no such escape"},
        {"\\xg0", 0, "\\x is no character"},
        {"\\x{110000}", 0, "\\x is no character"},
        {"\\x{d800}", 0, "\\x is no character"},
        {"a\xff", 1, "the pattern is not UTF-8"},
        {"a{1000}{3}", 7, "two repetitions"},
        {"(?:a{1000}){1000}", 0, "too large once its repetitions are written out"},
        {"((((){1000}){1000}){1000}){1000}", 0, "too large once"},
        {"(((x{0}){1000}){1000}){1000}", 0, "too large once"},
        {"(a|b)*a(a|b){20}", 0, "needs too many states"},
        {".*a.{30}", 0, "needs too many states; repeat less, above all behind `.*`"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = {0};
        struct regex_budget b = regex_budget_full();
        struct regex_fault fault;
        const struct regex *r = regex_compile(&a, bytes_str(rows[i].pattern), NULL, &b, &fault);
        if (!rows[i].what)
            assert_non_null(r);
        else if (r || !strstr(fault.what, rows[i].what) || fault.at != rows[i].at)
            fail_msg("%s: %zu: %s", rows[i].pattern, r ? 0 : fault.at, r ? "taken" : fault.what);
        arena_fini(&a);
    }
}

/* Patterns on which others take for ever, or all memory. Whatever is compiled costs a look-up for each byte; nothing
 * costs more than the budget to compile. */
static void no_pattern_costs_more_than_its_bound(void **state)
{
    (void)state;
    static const char *const patterns[] = {
        "(?:a?){30}a{30}",
        "(a+)+b",
        "(a|aa)+b",
        "(a|a?)+b",
        "(.*)(.*)(.*)(.*)(.*)x",
        "([a-zA-Z]+)*b",
        "(x+x+)+y",
        "((a{50}){50}){20}",
        "((a{200}){200}){10}",
        "(.?){1000}b",
        "(a?){1000}b",
        "[\\W\\w]{999}",
        "(.*a){40}",
        "(.*a){12}.{12}",
        "(a{0,30}){0,30}",
        "(((((a*)*)*)*)*)*b",
        "(a*b*c*d*e*f*g*h*)*z",
        "(\\D{0,40}\\S{0,40}){10}",
    };
    struct buf text = {0};
    for (int i = 0; i < 60000; i++)
        buf_add_u8(&text, 'a');
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct arena a = {0};
        struct regex_budget b = regex_budget_full();
        struct regex_fault fault;
        const struct regex *r = regex_compile(&a, bytes_str(patterns[i]), NULL, &b, &fault);
        assert_true(b.steps >= REGEX_ALL_STEPS - REGEX_STEPS_MAX - REGEX_PROGRAM_MAX);
        assert_true(b.cells >= REGEX_ALL_CELLS - REGEX_CELLS_MAX);
        assert_true(r || fault.what);
        if (r) {
            assert_true(r->states * r->classes <= REGEX_CELLS_MAX);
            (void)regex_fits(r, buf_bytes(&text));
        }
        arena_fini(&a);
    }
    buf_fini(&text);
}

/* All patterns of a policy share one budget, and one that is refused has cost too. */
static void patterns_share_a_budget(void **state)
{
    (void)state;
    struct arena a = {0};
    struct regex_budget b = {1000, 100000, REGEX_ALL_STEPS};
    struct regex_fault fault;
    int good = 0;
    while (good < 1000 && regex_compile(&a, bytes_str("/a[0-9]{20}"), NULL, &b, &fault))
        good++;
    assert_in_range(good, 2, 999);
    assert_non_null(strstr(fault.what, "the patterns of this policy are too large together"));
    arena_fini(&a);
}

/* A text for each pattern is looked for within a budget too, however many letters a pattern tells apart. */
static void samples_share_a_budget_of_their_own(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf pattern = {0};
    struct regex_budget b = regex_budget_full();
    struct regex_fault fault;
    int good = 0;
    buf_add_str(&pattern, "/.*[");
    for (unsigned i = 0; i < 330; i++) { /* U+0400, U+0402, ... */
        buf_add_u8(&pattern, (uint8_t)(0xd0 + i / 32));
        buf_add_u8(&pattern, (uint8_t)(0x80 + 2 * (i % 32)));
    }
    buf_add_str(&pattern, "].{8}");
    b.sample_steps = 4000000;
    while (good < 100 && regex_compile(&a, buf_bytes(&pattern), NULL, &b, &fault))
        good++;
    assert_in_range(good, 2, 99);
    assert_non_null(strstr(fault.what, "the patterns of this policy are too large together"));
    assert_true(b.steps > REGEX_ALL_STEPS / 2 && b.cells > REGEX_ALL_CELLS / 2);
    buf_fini(&pattern);
    arena_fini(&a);
}

/* As many as a pattern can name. */
static void a_pattern_of_five_hundred_letters_has_a_sample(void **state)
{
    (void)state;
    struct arena a = {0};
    struct buf pattern = {0};
    buf_add_str(&pattern, "/x|[");
    for (unsigned i = 0; i < 508; i++) { /* U+0400, U+0402, ... */
        buf_add_u8(&pattern, (uint8_t)(0xd0 + i / 32));
        buf_add_u8(&pattern, (uint8_t)(0x80 + 2 * (i % 32)));
    }
    buf_add_str(&pattern, "]");
    const struct regex *form = built(&a, path_normal_form, NULL), *r = built(&a, buf_str(&pattern), form);
    assert_int_equal(r->sample.len, 2);
    assert_memory_equal(r->sample.at, "/x", 2);
    buf_fini(&pattern);
    arena_fini(&a);
}

/* -- random patterns --------------------------------------------------------------------------------------- */

static void random_pattern(struct rng *r, struct buf *out, int depth)
{
    static const char *const leaves[] = {"a", "b", "c", ".", "[ab]", "[^a]", "ab"};
    static const char *const repeats[] = {"*", "+", "?", "{2}", "{1,2}", "{0,1}", "{2,}"};
    uint32_t kind = depth > 3 ? 0 : rng_below(r, 6);
    if (kind < 2) {
        buf_add_str(out, leaves[rng_below(r, 7)]);
    } else if (kind < 4) {
        buf_add_str(out, "(");
        random_pattern(r, out, depth + 1);
        buf_add_str(out, kind == 2 ? "|" : "");
        random_pattern(r, out, depth + 1);
        buf_add_str(out, ")");
    } else if (kind == 4) {
        buf_add_str(out, "(");
        random_pattern(r, out, depth + 1);
        buf_add_str(out, ")");
        buf_add_str(out, repeats[rng_below(r, 7)]);
    } else {
        random_pattern(r, out, depth + 1);
        random_pattern(r, out, depth + 1);
    }
}

static size_t random_text(struct rng *r, char *out, uint32_t longest)
{
    size_t len = rng_below(r, longest + 1);
    for (size_t i = 0; i < len; i++)
        out[i] = "abcd"[rng_below(r, 4)];
    out[len] = 0;
    return len;
}

/* Where both know the syntax, POSIX and the automaton agree on which texts fit as a whole. */
static void it_says_what_regexec_says(void **state)
{
    (void)state;
    struct rng rng = rng_seeded(27);
    size_t asked = 0, fitting = 0;
    for (int i = 0; i < 1500; i++) {
        struct buf pattern = {0}, anchored = {0};
        struct arena a = {0};
        regex_t posix;
        random_pattern(&rng, &pattern, 0);
        buf_addf(&anchored, "^(%s)$", buf_str(&pattern));
        const struct regex *r = built(&a, buf_str(&pattern), NULL);
        assert_int_equal(regcomp(&posix, buf_str(&anchored), REG_EXTENDED | REG_NOSUB), 0);
        for (int j = 0; j < 30; j++, asked++) {
            char text[16];
            size_t len = random_text(&rng, text, 8);
            bool want = regexec(&posix, text, 0, NULL, 0) == 0;
            if (regex_fits(r, bytes_of(text, len)) != want)
                fail_msg("%s: `%s` should%s fit", buf_str(&pattern), text, want ? "" : " not");
            fitting += want;
        }
        regfree(&posix);
        arena_fini(&a);
        buf_fini(&pattern);
        buf_fini(&anchored);
    }
    assert_true(asked == 45000 && fitting > 3000);
}

/* The same with what POSIX does not know, against the slow reading. */
static void it_says_what_the_pattern_says(void **state)
{
    (void)state;
    static const char *const more[] = {"^",   "$", "(?i)", "\\D",         "\xc3\xa4", "|",
                                       "(?:", ")", "*?",   "[[:upper:]]", "\\W"};
    static const char *const letters[] = {"a", "B", "1", "\xc3\xa4", "\n", "-"};
    struct rng rng = rng_seeded(28);
    static struct regex_tree tree;
    size_t asked = 0;
    for (int i = 0; i < 3000; i++) {
        struct buf pattern = {0};
        struct arena a = {0};
        struct regex_fault fault;
        struct regex_budget b = regex_budget_full();
        for (uint32_t n = 1 + rng_below(&rng, 4); n > 0; n--) {
            buf_add_str(&pattern, more[rng_below(&rng, 11)]);
            random_pattern(&rng, &pattern, 2);
        }
        const struct regex *r = regex_compile(&a, buf_bytes(&pattern), NULL, &b, &fault);
        for (int j = 0; r && j < 20; j++, asked++) {
            struct buf text = {0};
            struct model_text model;
            for (uint32_t n = rng_below(&rng, 7); n > 0; n--)
                buf_add_str(&text, letters[rng_below(&rng, 6)]);
            assert_true(regex_parse(&tree, buf_bytes(&pattern), &fault));
            assert_true(model_text_of(&model, buf_bytes(&text)));
            if (regex_fits(r, buf_bytes(&text)) != model_fits(&tree, &model))
                fail_msg("%s: `%s`", buf_str(&pattern), buf_str(&text));
            buf_fini(&text);
        }
        arena_fini(&a);
        buf_fini(&pattern);
    }
    assert_true(asked > 20000);
}

/* -- comparisons --------------------------------------------------------------------------------------------- */

enum { TEXTS = 1 + 4 + 16 + 64 + 256 + 1024 }; /* all of up to five letters */

static size_t text_number(size_t i, char *out)
{
    size_t len = 0, span = 1;
    for (; i >= span; span *= 4, len++)
        i -= span;
    for (size_t j = len; j-- > 0; i /= 4)
        out[j] = "abc/"[i % 4];
    return len;
}

static bool side_fits(const struct regex_side *s, struct bytes text)
{
    if (s->regex)
        return regex_fits(s->regex, text);
    return s->by_segment ? path_is_under(text, s->begin)
                         : text.len >= s->begin.len && memcmp(text.at, s->begin.at, s->begin.len) == 0;
}

/* What is said of all texts holds for all short ones; and what is said not to be so is so for one of them, nearly always
 * (a few need a longer text, or another letter). */
static void comparisons_are_what_all_short_texts_say(void **state)
{
    (void)state;
    struct rng rng = rng_seeded(29);
    size_t covers = 0, apart = 0, shown = 0, unshown = 0;
    for (int i = 0; i < 3000; i++) {
        struct arena a = {0};
        struct buf one = {0}, other = {0};
        struct regex_budget b = regex_budget_full();
        char begin[8];
        random_pattern(&rng, &one, 2);
        random_pattern(&rng, &other, 2);
        struct regex_side x = {.regex = built(&a, buf_str(&one), NULL)},
                          y = {.regex = built(&a, buf_str(&other), NULL)};
        if (i % 5 == 0)
            x = (struct regex_side){.begin = bytes_of(begin, random_text(&rng, begin, 2)),
                                    .by_segment = i % 2};
        bool all = true, any = false, said_all = regex_covers(&x, &y, NULL, &b) == REGEX_YES,
             said_any = regex_meets(&x, &y, NULL, &b) == REGEX_YES;
        for (size_t t = 0; t < TEXTS; t++) {
            char text[8];
            struct bytes tb = bytes_of(text, text_number(t, text));
            all &= !side_fits(&y, tb) || side_fits(&x, tb);
            any |= side_fits(&y, tb) && side_fits(&x, tb);
        }
        if ((said_all && !all) || (!said_any && any))
            fail_msg("%s and %s: covers %d, meets %d", buf_str(&one), buf_str(&other), said_all, said_any);
        covers += said_all;
        apart += !said_any;
        shown += !all && any;
        unshown += said_all != all || said_any != any;
        buf_fini(&one);
        buf_fini(&other);
        arena_fini(&a);
    }
    assert_true(covers > 200 && apart > 200 && shown > 200 && unshown < 100);
}

static void a_sample_fits_and_is_a_shortest(void **state)
{
    (void)state;
    struct arena a = {0};
    const struct regex *form = built(&a, path_normal_form, NULL);
    assert_true(bytes_eq_str(built(&a, "a{3}|bb", NULL)->sample, "bb"));
    assert_true(bytes_eq_str(built(&a, "a*", NULL)->sample, ""));
    assert_null(built(&a, "a^b", NULL)->sample.at);
    assert_null(built(&a, "[^\\x00-\\x{10ffff}]", NULL)->sample.at);
    assert_int_equal(built(&a, "\xc3\xa4.", NULL)->sample.len, 3);
    assert_true(bytes_eq_str(built(&a, ".*", form)->sample, "/"));
    assert_null(built(&a, "users/.*", form)->sample.at);
    assert_null(built(&a, "/a//b", form)->sample.at);
    assert_null(built(&a, "/a/\\.\\./b", form)->sample.at);
    assert_null(built(&a, "/%2f", form)->sample.at);
    assert_null(built(&a, "/%41", form)->sample.at);
    assert_non_null(built(&a, "/%C3%A4", form)->sample.at);
    arena_fini(&a);
}

/* The form of paths as a pattern, and path_fault(), are the same. */
static void the_form_of_paths_is_what_path_fault_takes(void **state)
{
    (void)state;
    static const char *const parts[] = {"/",   "/",   ".",   "..",  "a",        "%20", "%2F", "%41",
                                        "%5C", "%5B", "%00", "%7E", "%c3",      "%C3", "%",   "?",
                                        "#",   "\\",  " ",   "~",   "\xc3\xa4", "[",   "\x7f"};
    struct rng rng = rng_seeded(30);
    struct arena a = {0};
    const struct regex *form = built(&a, path_normal_form, NULL);
    size_t good = 0;
    for (int c = 0; c < 65536; c++) { /* each pair of bytes, and each escape */
        char text[] = {'/', (char)(c >> 8), (char)c, 0}, escape[8];
        assert_int_equal(regex_fits(form, bytes_of(text, 3)), !path_fault(bytes_of(text, 3)));
        snprintf(escape, sizeof escape, "/%%%c%c", c >> 8 ? c >> 8 : ' ', c & 255 ? c & 255 : ' ');
        assert_int_equal(regex_fits(form, bytes_str(escape)), !path_fault(bytes_str(escape)));
    }
    for (int i = 0; i < 50000; i++) {
        struct buf text = {0};
        buf_add_str(&text, "/");
        for (uint32_t n = rng_below(&rng, 7); n > 0; n--)
            buf_add_str(&text, parts[rng_below(&rng, i % 2 ? 6 : 23)]);
        bool is_good = !path_fault(buf_bytes(&text));
        if (regex_fits(form, buf_bytes(&text)) != is_good)
            fail_msg("%s", buf_str(&text));
        good += is_good;
        buf_fini(&text);
    }
    assert_true(good > 5000);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits),
        cmocka_unit_test(a_line_break_fits_no_dot),
        cmocka_unit_test(what_is_refused_and_where),
        cmocka_unit_test(no_pattern_costs_more_than_its_bound),
        cmocka_unit_test(patterns_share_a_budget),
        cmocka_unit_test(samples_share_a_budget_of_their_own),
        cmocka_unit_test(a_pattern_of_five_hundred_letters_has_a_sample),
        cmocka_unit_test(it_says_what_regexec_says),
        cmocka_unit_test(it_says_what_the_pattern_says),
        cmocka_unit_test(comparisons_are_what_all_short_texts_say),
        cmocka_unit_test(a_sample_fits_and_is_a_shortest),
        cmocka_unit_test(the_form_of_paths_is_what_path_fault_takes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
