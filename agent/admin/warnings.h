/* What needs an operator, for `starling status`. */
#ifndef ADMIN_WARNINGS_H
#define ADMIN_WARNINGS_H

#include <jansson.h>

#include "control/control.h"

/* [text]: each says what is wrong, where, and what to do. A new reference; empty: nothing is. */
json_t *warnings_of(const struct control *c);

#endif
