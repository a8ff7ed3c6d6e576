#include "cli/policy_load.h"

#include "cli/keys.h"
#include "policy/overlay.h"
#include "store/file.h"

bool loaded_is_file(const char *operand)
{
    static const char *const ends[] = {".yaml", ".yml", ".bundle"};
    size_t len = strlen(operand);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        size_t n = strlen(ends[i]);
        if (len > n && strcmp(operand + len - n, ends[i]) == 0)
            return true;
    }
    return false;
}

static enum err open_bundle(struct loaded *l, const char *file, const char *ca, const char *root_file,
                            struct buf *why)
{
    struct complaints c = {.file = file};
    if (!ca && !root_file) {
        buf_addf(why, "%s is a bundle; name the root of trust that its signatures rest on with --root FILE",
                 file);
        return ERR_INVALID;
    }
    enum err e = keys_root(&l->root, &l->root_bytes, ca, root_file, why);
    if (e == ERR_OK &&
        (e = bundle_read(&l->bundle, &l->policy, &l->root, buf_bytes(&l->in[0]), &c)) != ERR_OK)
        buf_addf(why, "%s%s%s", c.text.len ? "" : file, c.text.len ? "" : ": ",
                 c.text.len ? buf_str(&c.text) : err_text(e));
    if (e == ERR_OK) {
        l->is_bundle = true;
        l->src[0].text = l->bundle.text;
    }
    buf_fini(&c.text);
    return e;
}

/* Complaints end their lines; a sentence does not. */
static enum err said(enum err e, struct buf *why)
{
    while (e != ERR_OK && why->len && why->at[why->len - 1] == '\n')
        why->len--;
    return e;
}

static enum err open_texts(struct loaded *l, struct buf *why)
{
    struct complaints c = {.file = l->src[0].file};
    enum err e = policy_compile_sources(&l->policy, l->src, l->count, &c);
    if (e != ERR_OK)
        buf_addf(why, "%s", c.text.len ? buf_str(&c.text) : err_text(e));
    buf_fini(&c.text);
    return e;
}

enum err loaded_open(struct loaded *l, const char *const *files, size_t count, const char *ca,
                     const char *root_file, struct buf *why)
{
    struct envelope envelope;
    assert(count >= 1 && count <= POLICY_SOURCES_MAX);
    for (size_t i = 0; i < count; i++) {
        enum err e = file_read(&l->in[i], files[i], BUNDLE_BYTES_MAX, why);
        if (e != ERR_OK)
            return e;
        bool bundle = envelope_parse(&envelope, buf_bytes(&l->in[i])) == ERR_OK;
        l->src[i] = (struct policy_source){.file = files[i], .text = buf_bytes(&l->in[i])};
        l->count = i + 1;
        if (bundle && count == 1)
            return said(open_bundle(l, files[0], ca, root_file, why), why);
        if (bundle) {
            buf_addf(why, "%s is a bundle, and a bundle is a whole policy; give it alone", files[i]);
            return ERR_INVALID;
        }
    }
    return said(open_texts(l, why), why);
}

enum err loaded_overlay(struct loaded *l, const char *file, struct buf *why)
{
    size_t i = l->count;
    if (i == POLICY_SOURCES_MAX)
        return ERR_LIMIT;
    enum err e = file_read(&l->in[i], file, OVERLAY_BYTES_MAX, why);
    if (e != ERR_OK)
        return e;
    struct bytes inside = overlay_text(buf_bytes(&l->in[i]));
    l->src[i] = (struct policy_source){
        .file = file, .text = inside.len ? inside : buf_bytes(&l->in[i]), .is_overlay = true};
    l->count = i + 1;
    policy_unref(l->policy);
    l->policy = NULL;
    return said(open_texts(l, why), why);
}

void loaded_fini(struct loaded *l)
{
    policy_unref(l->policy);
    l->policy = NULL;
    for (size_t i = 0; i < POLICY_SOURCES_MAX; i++)
        buf_fini(&l->in[i]);
    buf_fini(&l->root_bytes);
}
