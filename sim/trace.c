#include "sim/trace.h"

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

static void print_time(const struct trace *t, mono_us now)
{
    printf("[%8llu.%03llu] ", (unsigned long long)((now - t->zero) / 1000),
           (unsigned long long)((now - t->zero) % 1000));
}

void trace_line(struct trace *t, mono_us now, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof line, fmt, ap);
    va_end(ap);
    t->lines++;
    mix(t, now);
    mix_bytes(t, bytes_str(line));
    if (!t->is_printed)
        return;
    print_time(t, now);
    puts(line);
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
