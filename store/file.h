/* Small files that must be right: secrets and trust anchors. All reads are capped and go into memory once, so
 * that what was checked is what is used (ADVERSARY B19). `why`, where given, gets a sentence that says what,
 * where and what to do.
 *
 * Errors of all three: ERR_NOT_FOUND, ERR_DENIED (permissions), ERR_NOMEM, ERR_IO. */
#ifndef STORE_FILE_H
#define STORE_FILE_H

#include "base/buf.h"
#include "base/err.h"

/* Appends the content of a regular file of at most `max` bytes to *out; on error *out is as before.
 * ERR_INVALID: a symlink, FIFO, directory or device is in its place (none is opened, so none can block).
 * ERR_LIMIT: larger than `max`, also when it grows while being read. */
must_check enum err file_read(struct buf *out, const char *path, size_t max, struct buf *why);

/* The same for secrets. ERR_DENIED also when others than its owner may read or write it, or its owner is
 * neither us nor root. The content is read straight into one allocation: no copy of it stays behind in freed
 * memory. */
must_check enum err file_read_secret(struct buf *out, const char *path, size_t max, struct buf *why);

/* Writes beside, syncs, renames, syncs the folder: at any moment the old file or the new one is there, whole.
 * `mode` is 0600 for secrets. ERR_EXISTS: there is one and `replace` is false (decided by the kernel, also
 * between two writers). ERR_FULL: no space or quota; the old file is untouched. */
must_check enum err file_write(const char *path, struct bytes content, unsigned mode, bool replace,
                               struct buf *why);

/* Makes renames and creations in the folder that holds `path` durable. */
must_check enum err file_sync_folder(const char *path, struct buf *why);

/* The error that an errno stands for, in this room's terms. */
enum err file_err(int errnum);

#endif
