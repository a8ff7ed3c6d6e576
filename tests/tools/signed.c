/* signed: writes one of each signed format as this version makes it, for tests/vectors/signed-N.txt: lines of a name and hex. */
#include <stdio.h>

#include "tests/tools/signed_things.h"

static void print(const char *name, const struct buf *b)
{
    printf("%s ", name);
    for (size_t i = 0; i < b->len; i++)
        printf("%02x", b->at[i]);
    putchar('\n');
}

int main(void)
{
    struct things t;
    things_make(&t);
    puts("# One of each signed format, version 1, made by tests/tools/signed.c. Never changed: "
         "tests/unit/policy_recorded.c reads it.");
#define X(name) print(#name, &t.name);
    THINGS(X)
#undef X
    things_fini(&t);
    return 0;
}
