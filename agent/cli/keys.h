/* Key files and passphrases at the command line. The folder that `mesh init` makes:
 *   root.key policy.key enrol.key     private, 0600, sealed with a passphrase if one was asked for
 *   root.trust                        public: the root's envelope
 * A passphrase comes from a file that was named, else from STARLING_PASSPHRASE, else from the terminal
 * without echo. `why` gets a sentence that says what, where and what to do. */
#ifndef CLI_KEYS_H
#define CLI_KEYS_H

#include "trust/trust.h"

enum {
    KEYS_PASSPHRASE_MIN = 12, /* bytes of a new one: each guess costs a tenth of a second and 64 MiB */
    KEYS_PASSPHRASE_MAX = 1024,
    KEYS_PATH_MAX = 4096
};

/* Where a private key is: `key_file`, or else <ca>/<what>.key. One of the two must be given. */
struct keys_place {
    const char *ca, *key_file, *passphrase_file;
};

/* Loads the private key of a role ("root", "policy", "enrol"); asks for the passphrase if it is sealed (at a
 * terminal three times). ERR_AUTH: wrong passphrase; ERR_DENIED: none to be had, or the file's permissions;
 * ERR_NOT_FOUND, ERR_INVALID, ERR_MALFORMED, ERR_IO. End it with sign_key_fini(). */
must_check enum err keys_load(struct sign_key *out, const char *what, const struct keys_place *place,
                              struct buf *why);
/* The same for a file of any kind; *kind is a static text. */
must_check enum err keys_load_any(struct sign_key *out, const char **kind, const char *path,
                                  const char *passphrase_file, struct buf *why);
/* Writes <dir>/<name>.key, a key of the kind `what`, 0600. */
must_check enum err keys_save(const char *dir, const char *name, const char *what, const struct sign_key *key,
                              const char *passphrase_or_null, bool replace, struct buf *why);
must_check enum err keys_save_at(const char *path, const char *what, const struct sign_key *key,
                                 const char *passphrase_or_null, bool replace, struct buf *why);

/* All that --key named (at most ROLE_KEYS_MAX), or else <ca>/<what>.key. End it with keys_ring_fini(), also after an error. */
struct keys_ring {
    size_t count;
    struct sign_key key[ROLE_KEYS_MAX];
    const struct sign_key *by[ROLE_KEYS_MAX]; /* into `key` */
    char path[ROLE_KEYS_MAX][KEYS_PATH_MAX];
};
struct args_list;
must_check enum err keys_ring_load(struct keys_ring *out, const char *what, const struct args_list *files,
                                   const char *ca, const char *passphrase_file, struct buf *why);
void keys_ring_fini(struct keys_ring *r);

/* <ca>/root.trust, or `root_file` when that is given; checked against its own signatures. *root borrows from
 * *bytes. */
must_check enum err keys_root(struct root *root, struct buf *bytes, const char *ca, const char *root_file,
                              struct buf *why);

/* "<dir>/<file>". ERR_LIMIT. */
must_check enum err keys_path(char out[KEYS_PATH_MAX], const char *dir, const char *file, struct buf *why);

/* A NUL-terminated passphrase, for a new key when `confirm` (asked for twice). End *out with secret_fini().
 * ERR_DENIED: there is no file, no STARLING_PASSPHRASE and no terminal; ERR_INVALID: empty, a new one of
 * fewer than KEYS_PASSPHRASE_MIN bytes, or the two differ. */
must_check enum err keys_passphrase(struct buf *out, const char *file_or_null, bool confirm, struct buf *why);
/* The same for a passphrase that takes the place of another: $STARLING_PASSPHRASE is the other's. */
must_check enum err keys_passphrase_new(struct buf *out, const char *file_or_null, struct buf *why);
bool keys_passphrase_is_at_hand(const char *file_or_null); /* without asking anybody */

#endif
