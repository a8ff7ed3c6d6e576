#include "control/fallen.h"

#include "trust/codec.h"

#include <assert.h>
#include <stdio.h>

#define FACT "fallen"
enum { LAYOUT = 1 };

void fallen_note(struct fallen *f, const struct record *r, const char *why, wall_s at)
{
    struct fallen_one *one = &f->one[f->noted++ % FALLEN_MAX];
    f->is_unsaved = true;
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

/* -- the fact ---------------------------------------------------------------------------------- */

/* [layout, [[id, name, why, at, [service, ...]], ...]], the oldest first. Texts are bin: one that was cut may end within a letter. */
static void put_text(struct buf *out, const char *text)
{
    codec_put_bin(out, bytes_str(text));
}

static void put_one(struct buf *out, const struct fallen_one *one)
{
    codec_put_array(out, 5);
    codec_put_bin(out, bytes_of(one->id.b, sizeof one->id.b));
    put_text(out, one->name);
    put_text(out, one->why);
    codec_put_u64(out, (uint64_t)one->at);
    codec_put_array(out, one->service_count);
    for (size_t i = 0; i < one->service_count; i++)
        put_text(out, one->service[i]);
}

static void read_text(struct codec *c, char *to, size_t max)
{
    struct bytes t = codec_bin(c, FACT, 0, max);
    memcpy(to, t.at ? (const void *)t.at : "", t.len);
    to[t.len] = 0;
}

static void read_one(struct codec *c, struct fallen_one *one)
{
    (void)codec_array(c, FACT, 5, 5);
    codec_bin_copy(c, FACT, one->id.b, sizeof one->id.b);
    read_text(c, one->name, NODE_NAME_MAX);
    read_text(c, one->why, FALLEN_WHY_MAX);
    one->at = (wall_s)codec_u64(c, FACT, (uint64_t)WALL_MAX);
    one->service_count = codec_array(c, FACT, 0, RECORD_SERVICES_MAX);
    for (size_t i = 0; i < one->service_count; i++)
        read_text(c, one->service[i], SERVICE_NAME_MAX);
}

enum err fallen_load(struct fallen *f, struct store *s)
{
    struct buf fact = {0};
    *f = (struct fallen){.noted = 0};
    enum err e = store_fact_get(s, FACT, &fact);
    if (e == ERR_OK && fact.len > 0) {
        struct codec c = codec_of(buf_bytes(&fact));
        (void)codec_array(&c, FACT, 2, 2);
        (void)codec_u64(&c, FACT, LAYOUT);
        f->noted = codec_array(&c, FACT, 0, FALLEN_MAX);
        for (size_t i = 0; i < f->noted; i++)
            read_one(&c, &f->one[i]);
        if (codec_end(&c, NULL) != ERR_OK)
            f->noted = 0;
    }
    buf_fini(&fact);
    return e;
}

void fallen_save(struct fallen *f, struct store *s)
{
    struct buf fact = {0};
    if (!f->is_unsaved)
        return;
    codec_put_array(&fact, 2);
    codec_put_u64(&fact, LAYOUT);
    codec_put_array(&fact, fallen_count(f));
    for (size_t i = fallen_count(f); i-- > 0;)
        put_one(&fact, fallen_at(f, i));
    enum err e = buf_ok(&fact) ? store_fact_put(s, FACT, buf_bytes(&fact), 0) : ERR_NOMEM;
    f->is_unsaved = e != ERR_OK;
    buf_fini(&fact);
}
