/* Credit: the two ends of one window, for a stream or for the link. The sender's end may never hold more than
 * the window, the receiver's end never gives back what was not consumed: so what is under way, plus what lies
 * unread, plus what was read but not yet given back, is at most the window. RFC 9113 section 5.2 is the
 * model, but with one fixed window. */
#ifndef MUX_CREDIT_H
#define MUX_CREDIT_H

#include <assert.h>

#include "base/err.h"
#include "mux/mux.h"

/* The sender's end. */
struct credit_tx {
    uint32_t left, window;
};

static inline struct credit_tx credit_tx_init(uint32_t window)
{
    return (struct credit_tx){window, window};
}

static inline void credit_tx_spend(struct credit_tx *c, size_t n)
{
    assert(n <= c->left);
    c->left -= (uint32_t)n;
}

/* ERR_LIMIT: the peer gives back more than was sent (ADVERSARY M4: no sum can overflow). */
must_check static inline enum err credit_tx_grant(struct credit_tx *c, uint32_t n)
{
    if (n > c->window - c->left)
        return ERR_LIMIT;
    c->left += n;
    return ERR_OK;
}

/* The receiver's end. */
struct credit_rx {
    uint32_t left;       /* what the peer may still send */
    uint32_t unreturned; /* consumed, not yet given back */
    uint32_t window;
};

static inline struct credit_rx credit_rx_init(uint32_t window)
{
    return (struct credit_rx){window, 0, window};
}

/* ERR_LIMIT: n bytes are more than was granted; nothing changed (ADVERSARY M5: they are never buffered). */
must_check static inline enum err credit_rx_take(struct credit_rx *c, size_t n)
{
    if (n > c->left)
        return ERR_LIMIT;
    c->left -= (uint32_t)n;
    return ERR_OK;
}

static inline void credit_rx_consumed(struct credit_rx *c, size_t n)
{
    assert(n <= c->window - c->left - c->unreturned);
    c->unreturned += (uint32_t)n;
}

/* Is it worth a frame now? At a half or a quarter of the window, so that a grant is never small (parts = 2,
 * 4). */
static inline bool credit_rx_is_due(const struct credit_rx *c, uint32_t parts)
{
    return c->unreturned >= c->window / parts;
}

/* Takes what is to be granted. */
static inline uint32_t credit_rx_return(struct credit_rx *c)
{
    uint32_t n = c->unreturned;
    c->unreturned = 0;
    c->left += n;
    return n;
}

#endif
