#include "sim/trace.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "sim/quick_hash.h"

void trace_init(struct trace *t, bool is_printed)
{
    *t = (struct trace){.hash = 0x5741524c494e4731u, .is_printed = is_printed};
}

/* splitmix64's finaliser over the running value: cheap, and every bit of input reaches every bit of the hash.
 */
static void mix(struct trace *t, uint64_t v)
{
    uint64_t z = (t->hash ^ v) + 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    t->hash = z ^ (z >> 31);
}

static void mix_bytes(struct trace *t, struct bytes b)
{
    mix(t, quick_hash(t->hash, b));
}

/* A line that is made. printf would do, but in a busy mesh it took a thirtieth of all time. */
struct line {
    char text[256];
    size_t len;
};

static void put_text(struct line *l, const char *text)
{
    while (*text && l->len + 1 < sizeof l->text)
        l->text[l->len++] = *text++;
}

static void put_number(struct line *l, unsigned long long v)
{
    char digits[24], *at = digits + sizeof digits - 1;
    *at = 0;
    do
        *--at = (char)('0' + v % 10);
    while (v /= 10);
    put_text(l, at);
}

/* What is between two conversions is text; these are %s, %u, %llu and %zu. */
static void put_all(struct line *l, const char *fmt, va_list ap)
{
    char plain[2] = "";
    while (*fmt) {
        if (*fmt != '%') {
            plain[0] = *fmt++;
            put_text(l, plain);
        } else if (fmt[1] == 's') {
            put_text(l, va_arg(ap, const char *));
            fmt += 2;
        } else if (fmt[1] == 'u') {
            put_number(l, va_arg(ap, unsigned));
            fmt += 2;
        } else if (fmt[1] == 'z') {
            put_number(l, va_arg(ap, size_t));
            fmt += 3;
        } else {
            assert(fmt[1] == 'l' && fmt[2] == 'l' && fmt[3] == 'u');
            put_number(l, va_arg(ap, unsigned long long));
            fmt += 4;
        }
    }
    l->text[l->len] = 0;
}

static void print_time(const struct trace *t, mono_us now)
{
    printf("[%8llu.%03llu] ", (unsigned long long)((now - t->zero) / 1000),
           (unsigned long long)((now - t->zero) % 1000));
}

void trace_line(struct trace *t, mono_us now, const char *fmt, ...)
{
    struct line line;
    line.len = 0;
    va_list ap;
    va_start(ap, fmt);
    put_all(&line, fmt, ap);
    va_end(ap);
    t->lines++;
    mix(t, now);
    mix_bytes(t, bytes_of(line.text, line.len));
    if (!t->is_printed)
        return;
    print_time(t, now);
    puts(line.text);
}

void trace_message(struct trace *t, mono_us now, const char *verb, uint32_t from, uint32_t to,
                   const char *lane, struct bytes msg)
{
    uint64_t seed = quick_word(quick_word(t->hash, now), (uint64_t)from << 32 | to);
    t->lines++;
    if (*verb == 'r') /* what is received was sent: its bytes are in the hash already */
        t->hash = quick_word(seed, msg.len);
    else
        mix(t, quick_hash(quick_word(seed, (uint8_t)verb[0]), msg));
    if (!t->is_printed)
        return;
    print_time(t, now);
    printf("%u %s %u %s type %u, %zu bytes #%08x\n", from, verb, to, lane, msg.len > 1 ? msg.at[1] : 0u,
           msg.len, (unsigned)(t->hash >> 32));
}
