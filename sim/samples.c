#include "sim/samples.h"

#include <stdlib.h>

#include "sim/must.h"

void samples_fini(struct samples *s)
{
    free(s->at);
    *s = (struct samples){0};
}

void samples_add(struct samples *s, uint64_t value)
{
    if (s->count == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->at = must(realloc(s->at, s->cap * sizeof *s->at));
    }
    s->at[s->count++] = value;
}

void samples_add_all(struct samples *to, const struct samples *from)
{
    for (size_t i = 0; i < from->count; i++)
        samples_add(to, from->at[i]);
}

void samples_write(const struct samples *s, struct buf *out)
{
    buf_add(out, &s->count, sizeof s->count);
    buf_add(out, s->at, s->count * sizeof *s->at);
}

void samples_read(struct samples *add_to, struct bytes *in)
{
    size_t count;
    uint64_t value;
    assert(in->len >= sizeof count);
    memcpy(&count, in->at, sizeof count);
    assert(count <= (in->len - sizeof count) / sizeof value);
    for (size_t i = 0; i < count; i++) {
        memcpy(&value, in->at + sizeof count + i * sizeof value, sizeof value);
        samples_add(add_to, value);
    }
    *in =
        bytes_of(in->at + sizeof count + count * sizeof value, in->len - sizeof count - count * sizeof value);
}

static int cmp_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

uint64_t samples_permille(struct samples *s, unsigned permille)
{
    if (s->count == 0)
        return 0;
    qsort(s->at, s->count, sizeof *s->at, cmp_u64);
    size_t rank = (s->count * permille + 999) / 1000;
    return s->at[rank > 0 ? rank - 1 : 0];
}

unsigned long long samples_ms(struct samples *s, unsigned permille)
{
    return samples_permille(s, permille) / 1000;
}
