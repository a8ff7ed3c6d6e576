/* One way to write a file of the strict YAML subset (yaml.h), as `gofmt` has one for Go: reviewers see what
 * changed and nothing else. Meaning, order and comments stay; indentation, blanks, quotes and the breaking of
 * long lines become uniform:
 *
 *   - two blanks a level; lists are indented below their key; at most one blank line between entries, none
 *     at the beginning or end
 *   - a map or list written in braces stays on one line while that has at most FORMAT_COLUMNS columns and no
 *     comment is inside; else it is written over several lines, as those written so are in any case
 *   - quoted text is in double quotes; plain text stays plain, on one line
 *   - a comment stays above or beside what it was written above or beside
 *
 * Formatting what was formatted changes nothing. */
#ifndef POLICY_FORMAT_H
#define POLICY_FORMAT_H

#include "policy/yaml.h"

enum { FORMAT_COLUMNS = 120 };

/* Appends to *out. Errors are those of yaml_parse(), with their complaints in `c` (may be NULL), ERR_MALFORMED also
 * for a text that is no map or list; then *out is as before. */
must_check enum err policy_format(struct buf *out, struct bytes text, struct complaints *c);

#endif
