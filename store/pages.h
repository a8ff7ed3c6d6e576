/* Is this run of bytes a sound LMDB 0.9 file? Looks at the structure only: every page of every tree of the
 * newest transaction is in place, in bounds, reached once, not also free; keys rise; the trees' counts are
 * true.
 *
 * LMDB trusts its pages. Reading a bad one faults or aborts; writing through one corrupts the heap. A walk
 * with LMDB's own cursors does not find all of that (a wrong bound on a page may be met only by an
 * insertion), so the file is looked at with our own eyes first. Pure: no LMDB, no I/O. What values mean, and
 * their checksums, is not looked at here. */
#ifndef STORE_PAGES_H
#define STORE_PAGES_H

#include "base/bytes.h"

/* NULL if sound, else a static text that says what is wrong. Needs memory for one bit per page. */
const char *pages_flaw(struct bytes image);

#endif
