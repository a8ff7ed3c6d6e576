#include "control/skew.h"

#include <assert.h>
#include <stdlib.h>

#include "policy/words.h"

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int64_t size_of(int64_t ms)
{
    return ms < 0 ? -ms : ms;
}

/* Of the sorted clocks of others and ours, which is 0, the middle one; of two in the middle the one that is nearer to ours. */
static int64_t middle(const int64_t *sorted, size_t count)
{
    size_t below = 0;
    while (below < count && sorted[below] < 0)
        below++;
    size_t half = count / 2; /* of count + 1 values */
    bool is_even = count % 2 == 1;
    int64_t low = half < below ? sorted[half] : half == below ? 0 : sorted[half - 1];
    size_t next = half + 1;
    int64_t high = !is_even ? low : next < below ? sorted[next] : next == below ? 0 : sorted[next - 1];
    return size_of(low) <= size_of(high) ? low : high;
}

/* Of all clocks, ours among them, those that are within the bound of this time. */
static size_t near(const int64_t *ahead_ms, size_t count, int64_t time, int64_t bound)
{
    size_t n = size_of(time) <= bound;
    for (size_t i = 0; i < count; i++)
        n += size_of(ahead_ms[i] - time) <= bound;
    return n;
}

struct skew skew_judge(int64_t *ahead_ms, size_t count, const struct skew *before)
{
    assert(count <= SKEW_HEARD_MAX);
    if (count == 0)
        return (struct skew){.verdict = SKEW_UNKNOWN};
    qsort(ahead_ms, count, sizeof *ahead_ms, compare);
    int64_t time = middle(ahead_ms, count);
    bool is_ours_off = skew_is_wrong(time, before->verdict == SKEW_OURS);
    bool has_majority = 2 * near(ahead_ms, count, time, SKEW_WRONG_MS) > count + 1;
    struct skew s = {
        .apart_ms = time, .heard = count, .with_us = near(ahead_ms, count, 0, SKEW_WRONG_MS) - 1};
    s.verdict = !has_majority ? SKEW_UNSURE : is_ours_off ? SKEW_OURS : SKEW_AGREES;
    s.right_ms = s.verdict == SKEW_OURS ? time : 0;
    return s;
}

int64_t skew_off(const struct skew *s, int64_t ahead_ms)
{
    return ahead_ms - s->right_ms;
}

bool skew_is_wrong(int64_t off_ms, bool was)
{
    return size_of(off_ms) > (was ? SKEW_RIGHT_MS : SKEW_WRONG_MS);
}

int64_t skew_ahead(uint64_t clock_ms, mono_ms at, uint64_t our_ms, mono_ms now)
{
    const uint64_t most =
        INT64_MAX / 4; /* far beyond any calendar; sums and differences of it are numbers still */
    uint64_t says = clock_ms < most ? clock_ms : most, ours = our_ms < most ? our_ms : most;
    return (int64_t)says + (int64_t)(now - at) - (int64_t)ours;
}

bool skew_may_say(struct skew_lines *l, mono_ms now)
{
    const mono_ms all = (mono_ms)SKEW_LINES_MAX * SKEW_LINE_EVERY_MS;
    mono_ms spent = l->free_at > now ? l->free_at - now : 0;
    if (spent + SKEW_LINE_EVERY_MS > all)
        return false;
    l->free_at = now + spent + SKEW_LINE_EVERY_MS;
    return true;
}

void skew_words(int64_t ahead_ms, struct buf *out)
{
    words_duration(out, (uint64_t)size_of(ahead_ms) / 1000 * 1000);
    buf_add_str(out, ahead_ms < 0 ? " behind" : " ahead");
}
