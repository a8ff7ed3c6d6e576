#include "control/fallen.h"

#include <assert.h>
#include <stdio.h>

void fallen_note(struct fallen *f, const struct record *r, const char *why, wall_s at)
{
    struct fallen_one *one = &f->one[f->noted++ % FALLEN_MAX];
    *one = (struct fallen_one){.id = r->credential.id, .at = at, .service_count = r->service_count};
    snprintf(one->name, sizeof one->name, "%.*s", (int)r->credential.node.len,
             (const char *)r->credential.node.at);
    snprintf(one->why, sizeof one->why, "%s", why);
    for (size_t i = 0; i < r->service_count; i++)
        snprintf(one->service[i], sizeof one->service[i], "%.*s", (int)r->service[i].name.len,
                 (const char *)r->service[i].name.at);
}

size_t fallen_count(const struct fallen *f)
{
    return f->noted < FALLEN_MAX ? f->noted : FALLEN_MAX;
}

const struct fallen_one *fallen_at(const struct fallen *f, size_t i)
{
    assert(i < fallen_count(f));
    return &f->one[(f->noted - 1 - i) % FALLEN_MAX];
}

bool fallen_offered(const struct fallen_one *one, struct bytes service)
{
    for (size_t i = 0; i < one->service_count; i++)
        if (bytes_eq_str(service, one->service[i]))
            return true;
    return false;
}
