/* Sides of an exchange that write down what they are told. */
#ifndef TEST_EXCHANGE_FAKE_H
#define TEST_EXCHANGE_FAKE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "exchange/exchange.h"

struct fake {
    struct side side;
    const char *name;
    struct buf *log;
    size_t room;
    bool fills; /* what it is given takes of its room */
    bool tells_headers;
};

static struct fake *fake_of(const struct side *s)
{
    return (struct fake *)s;
}
static size_t fake_room(const struct side *s)
{
    return fake_of(s)->room;
}
static void fake_head(struct side *s, const struct http_head *h, const struct mesh_verdict *v)
{
    struct fake *f = fake_of(s);
    if (h && h->is_response)
        buf_addf(f->log, "%s head %u", f->name, h->status);
    else if (h)
        buf_addf(f->log, "%s head %.*s %.*s", f->name, (int)h->method.len, (const char *)h->method.at,
                 (int)h->path.len, (const char *)h->path.at);
    else
        buf_addf(f->log, "%s head", f->name);
    for (size_t i = 0; h && f->tells_headers && i < h->header_count; i++)
        buf_addf(f->log, " %.*s=%.*s", (int)h->header[i].name.len, (const char *)h->header[i].name.at,
                 (int)h->header[i].value.len, (const char *)h->header[i].value.at);
    if (v && v->refused)
        buf_addf(f->log, " %.*s [%.*s]", (int)v->flag.len, (const char *)v->flag.at, (int)v->reason.len,
                 (const char *)v->reason.at);
    buf_add_str(f->log, "\n");
}
static void fake_data(struct side *s, struct bytes d)
{
    struct fake *f = fake_of(s);
    if (f->fills) {
        assert_true(d.len <= f->room);
        f->room -= d.len;
    }
    buf_addf(f->log, "%s data %.*s%s", f->name, (int)d.len, (const char *)d.at,
             d.at[d.len - 1] == '\n' ? "" : "\n");
}
static void fake_end(struct side *s, const struct http_head *trailers)
{
    struct fake *f = fake_of(s);
    buf_addf(f->log, "%s end%s\n", f->name, trailers ? " with trailers" : "");
}
static void fake_resume(struct side *s)
{
    struct fake *f = fake_of(s);
    buf_addf(f->log, "%s resume\n", f->name);
}
static void fake_finish(struct side *s, bool clean)
{
    struct fake *f = fake_of(s);
    assert_null(s->x);
    buf_addf(f->log, "%s finish %s\n", f->name, clean ? "clean" : "cut");
}
static const struct side_ops fake_ops = {fake_room, fake_head, fake_data, fake_end, fake_resume, fake_finish};

#endif
