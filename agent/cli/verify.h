/* `policy verify` and `overlay verify`: a signed file held against a root of trust. Offline. */
#ifndef CLI_VERIFY_H
#define CLI_VERIFY_H

#include "cli/args.h"
#include "policy/yaml.h"
#include "trust/trust.h"

struct verify_options {
    const char *ca, *root_file;
    bool json, text;
};
struct verify_kind {
    const char *name, *operand, *about;
    const char *text_about; /* of --text */
    const char *what;       /* "bundle", for who gives something else */
    size_t bytes_max;
    /* Opens what is in the file, and prints the text in it, or who signed it. Refusals are the decoder's, in *c if it has words.
     * *is_complete: it has all signatures that it needs. */
    enum err (*look)(const struct verify_options *o, const struct root *root, struct bytes in,
                     const char *file, struct complaints *c, bool *is_complete);
};
int verify_command(const struct verify_kind *kind, int argc, char **argv);

/* A sentence without the line's end that complaints carry. */
const char *verify_sentence(struct buf *why);

#endif
