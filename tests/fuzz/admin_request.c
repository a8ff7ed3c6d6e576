/* Lines of the admin socket: what is taken as a request is an object with a command we know; a bundle is what its
 * hex said; and each question of `why` has either an answer with all its members, or a sentence that says why
 * not. */
#include "admin/request.h"
#include "admin/why.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static const char policy_text[] =
    "policy: v1\nmesh: m.example\nversion: 3\n"
    "services:\n"
    "  a:\n"
    "    protocol: http\n"
    "    port: 80\n"
    "    subsets: {s: {v: \"1\"}}\n"
    "    routes:\n"
    "      - {name: h, match: [{headers: {x: {exact: \"1\"}}}], to: [{subset: s}]}\n"
    "      - {name: p, match: [{path: {prefix: /p}}, {query: {q: {present: true}}}], to: [{subset: s}]}\n"
    "  t: {protocol: tcp}\n"
    "  u: {protocol: http, unmatched: audit}\n"
    "intentions:\n"
    "  - {name: i, from: [w], to: a}\n"
    "  - {name: d, from: [\"*\"], to: a, deny: [{methods: [POST], paths: [\"/p/*\"]}]}\n";

static struct view *view_made_once(void)
{
    static struct view *view;
    struct node_id self = {{1}};
    struct policy *p = NULL;
    struct addr at;
    if (view)
        return view;
    struct view_builder *b = view_builder_new("m.example", &self, NULL);
    struct labels labels = {.count = 1, .at = {{bytes_str("v"), bytes_str("1")}}};
    check(policy_compile(&p, bytes_str(policy_text), NULL) == ERR_OK);
    check(addr_of_ip(&at, "127.0.0.1", 8080));
    check(view_builder_local(b, bytes_str("a"), &at, PROTOCOL_HTTP, &labels, true) == ERR_OK);
    view = view_builder_finish(b, p, 1, 1);
    policy_unref(p);
    return view;
}

static void ask(const struct admin_request *r)
{
    static const char *const members[] = {"decision",  "rule",    "audited", "audit_rule", "status",
                                          "flag",      "reason",  "service", "route",      "subset",
                                          "endpoints", "targets", "timeouts"};
    static const struct credential own = {.service_count = 1, .service = {{(const uint8_t *)"w", 1}}};
    const struct why_at here = {.view = view_made_once(), .own = &own, .node = "n"};
    struct buf told = {0};
    json_t *o = why_answer(&here, r->json, &told);
    check((o == NULL) == (told.len > 0));
    for (size_t i = 0; o && i < sizeof members / sizeof *members; i++)
        check(json_object_get(o, members[i]));
    json_decref(o);
    buf_fini(&told);
}

static void publish(const struct admin_request *r)
{
    struct buf bundle = {0};
    const char *hex = json_string_value(json_object_get(r->json, "bundle"));
    if (admin_request_bundle(r, &bundle) == ERR_OK) {
        char *again = malloc(2 * bundle.len + 1);
        check(again);
        hex_encode(bundle.at, bundle.len, again);
        check(strcmp(again, hex) == 0);
        free(again);
    } else {
        check(bundle.len == 0);
    }
    buf_fini(&bundle);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct admin_request r;
    if (admin_request_read(&r, bytes_of(at, len)) == ERR_OK) {
        check(r.command < ADMIN_COMMANDS && json_is_object(r.json) && !r.fault);
        if (r.command == ADMIN_WHY)
            ask(&r);
        else if (r.command == ADMIN_PUBLISH)
            publish(&r);
    } else {
        check(r.fault);
    }
    admin_request_fini(&r);
    return 0;
}
