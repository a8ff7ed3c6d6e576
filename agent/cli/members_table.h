/* `starling members` for people: one line for each member, by columns as wide as their longest entry. What keeps a member from being
 * used stands behind its labels in brackets, or below, where that would go beyond MEMBERS_COLUMNS. */
#ifndef CLI_MEMBERS_TABLE_H
#define CLI_MEMBERS_TABLE_H

#include <jansson.h>

#include "base/buf.h"

/* A line is longer only where a name, an address and labels are. */
enum { MEMBERS_COLUMNS = 120 };

/* Appends what docs/commands.md says of the answer to `members`, a list in the order in which it is to be printed. */
void members_table(const json_t *list, struct buf *out);
/* "key=value,key=value", the `labels` of a member or instance, into `out`, whose text is returned. */
const char *labels_text(const json_t *o, struct buf *out);

#endif
