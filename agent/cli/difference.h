/* What changed between two texts, line by line: the removed with "- ", the added with "+ ", in order, without
 * the lines that stayed. Control characters are shown as blanks. */
#ifndef CLI_DIFFERENCE_H
#define CLI_DIFFERENCE_H

#include "base/buf.h"

enum {
    DIFFERENCE_CELLS_MAX = 16 * 1024 * 1024
}; /* of the table for longer texts all lines between the first and the last change
      are shown as replaced */
void difference_write(struct buf *out, struct bytes before, struct bytes after);

#endif
