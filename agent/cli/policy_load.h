/* A policy for a command that works offline: from one or several texts, or from a signed bundle. */
#ifndef CLI_POLICY_LOAD_H
#define CLI_POLICY_LOAD_H

#include "policy/bundle.h"

struct loaded { /* zero-initialise; loaded_fini() in any case */
    struct policy *policy;
    struct bundle bundle; /* when is_bundle */
    bool is_bundle;
    size_t count; /* texts; 1 of a bundle: the one inside */
    struct policy_source src[POLICY_SOURCES_MAX];
    struct buf in[POLICY_SOURCES_MAX];
    struct root root;
    struct buf root_bytes;
};
/* Does this name say that it is a file of a policy: does it end in .yaml, .yml or .bundle? */
bool loaded_is_file(const char *operand);
/* One bundle, checked against the root of trust (`ca` or `root_file`; else ERR_INVALID), drafts too; or texts that together are
 * one policy. `why` gets what is wrong, complaints of the compiler included. ERR_INVALID, or as file_read(), keys_root() and
 * bundle_read(). */
must_check enum err loaded_open(struct loaded *l, const char *const *files, size_t count, const char *ca,
                                const char *root_file, struct buf *why);
/* The same policy with this overlay over it: a text, or a signed one, whose signatures are not looked at here. ERR_INVALID: they do
 * not compile together; or as file_read(). */
must_check enum err loaded_overlay(struct loaded *l, const char *file, struct buf *why);
void loaded_fini(struct loaded *l);

#endif
