/* One look-up per byte. */
#include "policy/regex.h"

static uint16_t class_of(const struct regex *r, uint32_t c)
{
    size_t lo = 0,
           hi = r->range_count; /* the last range that begins at `c` or before; the first begins at 0 */
    if (c < sizeof r->ascii / sizeof *r->ascii)
        return r->ascii[c];
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->range[mid].from <= c)
            lo = mid;
        else
            hi = mid;
    }
    return r->range[lo].id;
}

uint16_t regex_next(const struct regex *r, uint16_t state, uint32_t character)
{
    return r->next[state * r->classes + class_of(r, character)];
}

bool regex_feed(struct regex_run *run, uint8_t byte)
{
    if (!utf8_take(&run->utf8, byte))
        run->state = 0;
    else if (run->utf8.more == 0)
        run->state = regex_next(run->r, run->state, run->utf8.point);
    return run->state != 0;
}

bool regex_end(const struct regex_run *run)
{
    return run->utf8.more == 0 && run->r->accepts[run->state];
}

bool regex_fits(const struct regex *r, struct bytes text)
{
    struct regex_run run = regex_begin(r);
    for (size_t i = 0; i < text.len && run.state; i++)
        if (run.utf8.more == 0 && text.at[i] < 0x80)
            run.state = r->next[run.state * r->classes + r->ascii[text.at[i]]];
        else
            (void)regex_feed(&run, text.at[i]);
    return regex_end(&run);
}
