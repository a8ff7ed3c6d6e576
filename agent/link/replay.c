/* See replay.h. The newest word is only partly in use, which is why the window is one word less than the
 * ring. */
#include "link/replay.h"

#include <assert.h>

static void slide(struct replay *r, uint64_t counter)
{
    uint64_t from = r->greatest_plus_1 ? (r->greatest_plus_1 - 1) / 64 : 0, to = counter / 64;
    uint64_t words = to - from < REPLAY_WORDS ? to - from : REPLAY_WORDS;
    for (uint64_t i = 1; i <= words; i++)
        r->word[(from + i) % REPLAY_WORDS] = 0;
    r->greatest_plus_1 = counter + 1;
}

bool replay_accept(struct replay *r, uint64_t counter)
{
    assert(counter < UINT64_MAX);
    if (counter >= r->greatest_plus_1)
        slide(r, counter);
    else if (r->greatest_plus_1 - 1 - counter >= REPLAY_WINDOW)
        return false;
    uint64_t *word = &r->word[counter / 64 % REPLAY_WORDS], bit = UINT64_C(1) << counter % 64;
    bool fresh = !(*word & bit);
    *word |= bit;
    return fresh;
}

bool replay_is_newest(const struct replay *r, uint64_t counter)
{
    return counter + 1 >= r->greatest_plus_1;
}
