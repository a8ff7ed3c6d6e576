/* The differences between two policies (policy/diff.h), for people and as JSON. */
#ifndef CLI_DIFF_REPORT_H
#define CLI_DIFF_REPORT_H

#include <jansson.h>

#include "policy/diff.h"

/* Appends lines; "no difference\n" if there is none. */
void diff_report_text(struct buf *out, const struct diff *d);
/* A list, docs/commands.md; a new reference. */
json_t *diff_report_json(const struct diff *d);
/* Is there any, apart from the version's own number? */
bool diff_report_differs(const struct diff *d);

#endif
