#include "cli/members_table.h"

#include "base/clock.h"
#include "cli/tell.h"
#include "control/skew.h"

struct widths {
    int name, address;
};

const char *labels_text(const json_t *o, struct buf *out)
{
    const char *key;
    json_t *value;
    out->len = 0;
    json_object_foreach(json_object_get(o, "labels"), key, value)
        buf_addf(out, "%s%s=%s", out->len ? "," : "", key, json_string_value(value));
    return buf_str(out);
}

static int wider(int width, const char *entry)
{
    int len = (int)strlen(entry);
    return len > width ? len : width;
}

static struct widths widths_of(const json_t *list)
{
    struct widths w = {4, 7};
    const json_t *m;
    size_t i;
    json_array_foreach(list, i, m)
    {
        w.name = wider(w.name, text(m, "name"));
        w.address = wider(w.address, text(m, "address"));
    }
    return w;
}

/* How long ago this agent heard from it. */
static const char *heard(const json_t *m, char out[SPAN_TEXT_MAX])
{
    const json_t *ms = json_object_get(m, "heard_ms");
    if (json_is_true(json_object_get(m, "self")))
        return "self";
    return json_is_integer(ms) ? span_text((uint64_t)json_integer_value(ms), out) : "-";
}

/* On the line as long as there is room, else on one of its own. */
static void add_note(struct buf *out, size_t *column, const char *note)
{
    size_t len = strlen(note) + 4; /* two spaces, two brackets */
    if (*column + len > MEMBERS_COLUMNS) {
        buf_add_str(out, "\n  ");
        *column = 2;
    }
    buf_addf(out, "  (%s)", note);
    *column += len;
}

static void add_notes(struct buf *out, size_t column, const json_t *m)
{
    const struct {
        bool is;
        const char *words;
    } notes[] = {
        {json_object_get(m, "conflict"), "name held by another: not routed to"},
        {json_is_true(json_object_get(json_object_get(m, "overlay"), "in_force")),
         "break-glass: an overlay is in force"},
        {json_object_get(m, "quarantined"), "quarantined: two agents run with its key, or it is stolen"},
        {json_object_get(m, "doubled"), "two agents answer as it in turn"},
        {json_object_get(m, "unreachable"), "unreachable for traffic from here"},
        {json_object_get(m, "revoked"), "revoked"},
    };
    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++)
        if (notes[i].is)
            add_note(out, &column, notes[i].words);
    if (json_is_true(json_object_get(m, "clock_wrong"))) {
        struct buf clock = {0};
        buf_add_str(&clock, "clock ");
        skew_words(number(m, "clock_off_ms"), &clock);
        add_note(out, &column, buf_str(&clock));
        buf_fini(&clock);
    }
}

static void add_row(struct buf *out, const json_t *m, struct widths w, const char *labels)
{
    char policy[24] = "-", since[SPAN_TEXT_MAX], ago[SPAN_TEXT_MAX]; /* "-": none is in force there */
    size_t begin = out->len;
    if (number(m, "policy") > 0)
        snprintf(policy, sizeof policy, "%lld", number(m, "policy"));
    buf_addf(out, "%-*s  %-8s  %-6s  %-6s  %-*s  ", w.name, text(m, "name"), text(m, "state"),
             span_text((uint64_t)number(m, "since_ms"), since), heard(m, ago), w.address, text(m, "address"));
    if (*labels)
        buf_addf(out, "%-6s  %s", policy, labels);
    else
        buf_add_str(out, policy);
    add_notes(out, out->len - begin, m);
    buf_add_str(out, "\n");
}

void members_table(const json_t *list, struct buf *out)
{
    struct widths w = widths_of(list);
    struct buf labels = {0};
    const json_t *m;
    size_t i;
    buf_addf(out, "%-*s  %-8s  %-6s  %-6s  %-*s  %-6s  %s\n", w.name, "NAME", "STATE", "SINCE", "HEARD",
             w.address, "ADDRESS", "POLICY", "LABELS");
    json_array_foreach(list, i, m) add_row(out, m, w, labels_text(m, &labels));
    buf_fini(&labels);
}
