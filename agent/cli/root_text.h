/* A root of trust for the eyes of those who sign it: what it says, one fact per line, so that two of them compare line by
 * line; whose signatures it has and lacks; the same as JSON. */
#ifndef CLI_ROOT_TEXT_H
#define CLI_ROOT_TEXT_H

#include <jansson.h>

#include "trust/trust.h"

struct root_signers {
    size_t have, want;
    bool by[ROLE_KEYS_MAX]; /* of the role's keys, in its order */
};
/* Which keys of this role have validly signed. */
struct root_signers root_signers_of(struct bytes envelope, const struct role *role);

void root_text(struct buf *out, const struct root *r);
/* What a signer should think about twice: thresholds that fall, roles without a spare key ... */
void root_text_warnings(struct buf *out, const struct root *before_or_null, const struct root *r);
/* Two paragraphs, or one without `before`. True: every signature that it needs is there. */
bool root_text_signatures(struct buf *out, struct bytes envelope, const struct root *before_or_null,
                          const struct root *r);
json_t *root_json(struct bytes envelope, const struct root *before_or_null, const struct root *r);
/* "2031-01-31T00:00:00Z" or "never". */
const char *root_time_text(wall_s t, char out[WALL_TEXT_MAX]);

#endif
