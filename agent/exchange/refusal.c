#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "exchange/refusal.h"

static const struct {
    const char *text, *words;
} flags[] = {
#define X(name, text, words) [FLAG_##name] = {text, words},
    EXCHANGE_FLAG_LIST(X)
#undef X
};

const char *exchange_flag_text(enum exchange_flag f)
{
    return f < FLAG_COUNT ? flags[f].text : "?";
}

const char *exchange_flag_words(enum exchange_flag f)
{
    return f < FLAG_COUNT ? flags[f].words : "?";
}

enum exchange_flag exchange_flag_of(struct bytes text)
{
    for (unsigned f = 0; f < FLAG_COUNT; f++)
        if (bytes_eq_str(text, flags[f].text))
            return (enum exchange_flag)f;
    return FLAG_NONE;
}

/* What goes into a header must be one line of visible text, whatever names a policy or a client came up with
 * (P18). */
static void make_visible(char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || (unsigned char)*text >= 0x7f)
            *text = '?';
}

struct exchange_refusal refusal_of(uint16_t status, enum exchange_flag flag, const char *rule,
                                   const char *fmt, ...)
{
    struct exchange_refusal r = {.status = status, .flag = flag, .rule = rule};
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r.reason, sizeof r.reason, fmt, ap);
    va_end(ap);
    make_visible(r.reason);
    return r;
}

void refusal_add(struct exchange_refusal *r, const char *words)
{
    size_t n = strlen(r->reason);
    snprintf(r->reason + n, sizeof r->reason - n, "%s", words);
}

void refusal_line(const struct exchange_refusal *r, char out[REFUSAL_LINE_MAX])
{
    char rule[FACT_NAME_MAX];
    snprintf(rule, sizeof rule, "%s", r->rule && *r->rule ? r->rule : "-");
    for (char *c = rule; *c; c++)
        if ((unsigned char)*c <= 0x20 || (unsigned char)*c >= 0x7f)
            *c = '_';
    char after[24] = "";
    if (r->retry_after_s)
        snprintf(after, sizeof after, "after=%u ", r->retry_after_s);
    snprintf(out, REFUSAL_LINE_MAX, "%u %llu %s %s%s", r->status, (unsigned long long)r->policy_version, rule,
             after, r->reason);
}

/* The next word of *at, which moves behind it and its space. False: none, or too long. */
static bool take_word(const char **at, char *out, size_t cap)
{
    size_t n = strcspn(*at, " ");
    if (n == 0 || n >= cap || (*at)[n] != ' ')
        return false;
    memcpy(out, *at, n);
    out[n] = 0;
    *at += n + 1;
    return true;
}

static bool take_number(const char **at, unsigned long long *out)
{
    char word[21], *end;
    if (!take_word(at, word, sizeof word) || word[0] < '0' || word[0] > '9')
        return false;
    *out = strtoull(word, &end, 10);
    return *end == 0;
}

/* "after=7 " in front of the words. What is none, or too long a time, is taken for words. */
static uint32_t take_after(const char **at)
{
    static const char key[] = "after=";
    unsigned long long seconds;
    const char *from = *at + sizeof key - 1;
    if (strncmp(*at, key, sizeof key - 1) != 0 || !take_number(&from, &seconds) ||
        seconds > REFUSAL_RETRY_AFTER_MAX_S)
        return 0;
    *at = from;
    return (uint32_t)seconds;
}

bool refusal_of_line(struct exchange_refusal *out, struct bytes flag, struct bytes line,
                     char space[FACT_NAME_MAX])
{
    char text[REFUSAL_LINE_MAX];
    const char *at = text;
    unsigned long long status, version;
    if (line.len >= sizeof text)
        return false;
    memcpy(text, line.at, line.len);
    text[line.len] = 0;
    if (!take_number(&at, &status) || !take_number(&at, &version) || !take_word(&at, space, FACT_NAME_MAX) ||
        status < 400 || status > 599)
        return false;
    const char *rule = strcmp(space, "-") == 0 ? NULL : space;
    enum exchange_flag f = exchange_flag_of(flag);
    uint32_t after = f == FLAG_RL ? take_after(&at) : 0;
    *out = refusal_of((uint16_t)status, f, rule, "%s", at);
    out->retry_after_s = after;
    out->policy_version = version;
    return true;
}

struct placed {
    size_t at, len;
};

static struct placed place(struct buf *b, const char *text)
{
    struct placed p = {b->len, strlen(text)};
    buf_add_str(b, text);
    return p;
}

static struct bytes placed_bytes(const struct buf *b, struct placed p)
{
    return bytes_of(b->at + p.at, p.len);
}

/* As a header's value: without blanks at its ends. Words end in one where a name was empty, or they were cut, or another agent
 * says so, and no writer takes them: the client would be left without any answer. */
static struct bytes placed_value(const struct buf *b, struct placed p)
{
    struct bytes v = placed_bytes(b, p);
    while (v.len > 0 && v.at[0] == ' ')
        v = bytes_of(v.at + 1, v.len - 1);
    while (v.len > 0 && v.at[v.len - 1] == ' ')
        v.len--;
    return v;
}

enum err refusal_head(struct http_head *out, const struct exchange_refusal *r, struct bytes *text)
{
    char rule[FACT_NAME_MAX], version[24], after[12], body[REFUSAL_TEXT_MAX + 2];
    snprintf(rule, sizeof rule, "%s", r->rule ? r->rule : "");
    make_visible(rule);
    snprintf(version, sizeof version, "%llu", (unsigned long long)r->policy_version);
    snprintf(after, sizeof after, "%u", r->retry_after_s);
    snprintf(body, sizeof body, "%s\n", r->reason);
    const char *const pair[][2] = {{"content-type", "text/plain; charset=utf-8"},
                                   {"x-starling-reason", r->reason},
                                   {"x-starling-flag", exchange_flag_text(r->flag)},
                                   {"x-starling-rule", rule},
                                   {"x-starling-policy", version},
                                   {"retry-after", after}};
    size_t count = 0;
    struct http_head h = {.is_response = true, .status = r->status, .minor = 1, .body = HTTP_BODY_LENGTH};
    struct placed name[6], value[6], words = place(&h.text, body);
    for (size_t i = 0; i < sizeof pair / sizeof *pair; i++) {
        if (i < 3 || (i < 5 ? r->rule != NULL : r->retry_after_s > 0)) {
            name[count] = place(&h.text, pair[i][0]);
            value[count++] = place(&h.text, pair[i][1]);
        }
    }
    if (!buf_ok(&h.text)) {
        http_head_fini(&h);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < count; i++)
        h.header[i] = (struct http_header){placed_bytes(&h.text, name[i]), placed_value(&h.text, value[i])};
    h.header_count = count;
    h.content_length = words.len;
    *text = placed_bytes(&h.text, words);
    *out = h;
    return ERR_OK;
}
