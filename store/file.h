/* Small files that must be right: secrets and trust anchors. All reads are capped and go into memory once. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Reads a regular file of at most `max` bytes. Refuses symlinks, FIFOs, directories, devices. `why` says what, where, what to do. */
must_check enum err file_read(struct buf *out, const char *path, size_t max, struct buf *why);
/* The same, and also refuses a file that others than its owner may read or write, or whose owner is not us or root. */
must_check enum err file_read_secret(struct buf *out, const char *path, size_t max, struct buf *why);
/* Writes beside, syncs, renames, syncs the folder. `mode` is 0600 for secrets. Refuses to replace unless `replace`. */
must_check enum err file_write(const char *path, struct bytes content, unsigned mode, bool replace, struct buf *why);

#endif
