/* `why` at a running agent, and `policy why` offline: the same question, answered by the same code (admin/why.h), told the same
 * way. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "admin/why.h"
#include "cli/ask.h"
#include "cli/cli.h"
#include "cli/policy_load.h"
#include "cli/tell.h"

/* -- the answer -------------------------------------------------------------------------------- */

/* "key=value,key=value" into `out`, whose text is returned. */
static const char *pairs(const json_t *o, const char *member, struct buf *out)
{
    const char *key;
    json_t *value;
    out->len = 0;
    json_object_foreach(json_object_get(o, member), key, value)
        buf_addf(out, "%s%s=%s", out->len ? "," : "", key, json_string_value(value));
    return buf_str(out);
}

/* "  (shop.yaml:12)" */
static void print_said(const char *said)
{
    printf(*said ? "  (%s)\n" : "\n", said);
}

/* Those of a service that stands in are said to be its own. */
static void print_endpoints(const char *title, const json_t *list, const char *asked)
{
    struct buf l = {0};
    const json_t *e;
    size_t i;
    json_array_foreach(list, i, e)
    {
        printf("%-10s %s at %s, %s", i == 0 ? title : "", text(e, "node"), text(e, "address"),
               text(e, "standing"));
        if (strcmp(text(e, "service"), asked) != 0)
            printf(" of %s", text(e, "service"));
        const json_t *out = json_object_get(e, "ejected");
        if (json_is_object(out))
            printf(", ejected: %s, %lld s left, time %lld", text(out, "phase"), number(out, "left_ms") / 1000,
                   number(out, "times"));
        if (*pairs(e, "labels", &l))
            printf(" (%s)", buf_str(&l));
        putchar('\n');
    }
    buf_fini(&l);
}

static void print_decision(const json_t *o)
{
    const json_t *said = json_object_get(o, "said");
    const char *rule = text(o, "rule"), *reason = text(o, "reason");
    bool audited = json_is_true(json_object_get(o, "audited")),
         allowed = strcmp(text(o, "decision"), "allow") == 0;
    printf("decision   %s%s\n", text(o, "decision"),
           !audited  ? ""
           : allowed ? " (without audit: deny)"
                     : " (without audit: allow)");
    printf("rule       %s", *rule ? rule : "(none was asked)");
    print_said(text(said, "rule"));
    if (audited) {
        printf("audit      %s would %s", text(o, "audit_rule"), allowed ? "deny" : "allow");
        print_said(text(said, "audit_rule"));
    }
    printf("route      %s",
           json_is_string(json_object_get(o, "route")) ? text(o, "route") : "(none matches)");
    print_said(text(said, "route"));
    if (*text(o, "match"))
        printf("match      %s\n", strcmp(text(o, "match"), "{}") == 0 ? "everything" : text(o, "match"));
    if (*reason && json_is_integer(json_object_get(o, "status")))
        printf("answer     %lld %s, %s\n", number(o, "status"), text(o, "flag"), reason);
    else if (*reason)
        printf("answer     closed, %s, %s\n", text(o, "flag"), reason);
}

static void print_place(const char *title, const char *name, const json_t *p)
{
    printf("%-10s %s, %lld of %lld healthy, %.4g%%%s\n", title, name, number(p, "healthy"),
           number(p, "instances"), json_real_value(json_object_get(p, "percent")),
           json_is_true(json_object_get(p, "panic")) ? " (panic: all are used)" : "");
}

/* Where there is nothing to choose by, and nothing wrong, there is nothing to say. */
static void print_levels(const json_t *target)
{
    const json_t *levels = json_object_get(target, "levels"), *p;
    size_t i, n = json_array_size(levels);
    char name[256];
    json_array_foreach(levels, i, p)
    {
        bool well = number(p, "healthy") == number(p, "instances");
        snprintf(name, sizeof name, *text(p, "locality") ? "same %s" : "others", text(p, "locality"));
        if (n > 1 || !well)
            print_place("level", n > 1 || *text(p, "locality") ? name : "all", p);
    }
    json_array_foreach(json_object_get(target, "standins"), i, p)
        print_place("stand-in", text(p, "service"), p);
}

static void print_targets(const json_t *o)
{
    struct buf l = {0};
    const json_t *t;
    size_t i;
    json_array_foreach(json_object_get(o, "targets"), i, t)
    {
        printf("subset     %s, weight %lld, %.4g%%",
               *text(t, "subset") ? text(t, "subset") : "(any instance)", number(t, "weight"),
               json_real_value(json_object_get(t, "percent")));
        if (*pairs(t, "selects", &l))
            printf(" (%s)", buf_str(&l));
        putchar('\n');
        print_levels(t);
        print_endpoints("endpoints", json_object_get(t, "endpoints"), text(o, "service"));
        print_endpoints("not used", json_object_get(t, "excluded"), text(o, "service"));
    }
    if (json_is_object(t = json_object_get(o, "under_way")))
        printf("under way  %lld requests, %lld connections, %lld waiting, from here\n", number(t, "requests"),
               number(t, "connections"), number(t, "pending"));
    buf_fini(&l);
}

/* One of those that are null when there is nothing of the kind. */
static void print_act(const json_t *o, const char *member, const char *title, const char *key)
{
    const json_t *act = json_object_get(o, member);
    if (!json_is_object(act))
        return;
    printf("%-10s %s", title, text(act, key));
    if (strcmp(member, "sticky") == 0 && json_is_string(json_object_get(act, "value")))
        printf(" is \"%s\": always %s", text(act, "value"),
               *text(act, "subset") ? text(act, "subset") : "any instance");
    else if (strcmp(member, "sticky") == 0)
        printf(" is not in this request: by weight");
    if (strcmp(member, "rewrite") == 0)
        printf(", forwarded as %s", text(act, "path"));
    if (strcmp(member, "mirror") == 0)
        printf(", %lld%% of the requests, %s (rule %s)", number(act, "percent"),
               strcmp(text(act, "decision"), "deny") == 0 ? "denied" : "allowed", text(act, "rule"));
    if (strcmp(member, "fault") == 0)
        printf(" %s", text(act, "fault"));
    print_said(text(act, "said"));
}

static void print_limits(const json_t *o)
{
    const json_t *l;
    size_t i;
    json_array_foreach(json_object_get(o, "rate_limits"), i, l)
    {
        printf("limit      %s", text(l, "limit"));
        if (json_is_string(json_object_get(l, "bucket")))
            printf(", bucket \"%s\"", text(l, "bucket"));
        print_said(text(l, "said"));
    }
    json_array_foreach(json_object_get(o, "failover"), i, l) printf("failover   %s\n", json_string_value(l));
}

/* "setting    timeouts: connect 1s (p.yaml:15); request 3s (p.yaml:43)": a line for each group of keys, a place for those in turn that
 * are said there. What agents of this version do not act on yet has lines of its own. */
static void print_settings(const json_t *o)
{
    json_t *all = json_object_get(o, "settings"), *one;
    const char *key, *group = "", *said = "";
    size_t len = 0;
    bool lacks = false;
    json_object_foreach(all, key, one)
    {
        size_t n = strcspn(key, ".");
        bool lacking = json_object_get(one, "lacking") != NULL;
        bool same = n == len && strncmp(key, group, n) == 0 && lacking == lacks,
             same_place = strcmp(said, text(one, "said")) == 0;
        if (*group && (!same || !same_place))
            printf(" (%s)%s", said, same ? "; " : "\n");
        if (!same)
            printf("%s    %.*s%s", lacking ? "not yet" : "setting", (int)n, key, key[n] ? ": " : "");
        else if (same_place)
            printf(", ");
        printf("%s%s%s", key[n] ? key + n + 1 : "", " ", text(one, "value"));
        group = key;
        len = n;
        lacks = lacking;
        said = text(one, "said");
    }
    if (*group)
        printf(" (%s)\n", said);
}

static void print_revoked(const json_t *list)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one) printf("revoked    %s: %s\n", text(one, "name"), text(one, "why"));
}

static void print_lacking(const json_t *list)
{
    const json_t *f;
    size_t i;
    json_array_foreach(list, i, f) printf("%s%s", i ? ", " : "lacking    ", json_string_value(f));
    if (json_array_size(list))
        puts(": agents of this version refuse this policy");
}

static void print_basis(const json_t *o)
{
    const json_t *p = json_object_get(o, "policy"), *s;
    size_t i;
    print_lacking(json_object_get(o, "lacking"));
    if (number(p, "version") == 0)
        puts("policy     none in force");
    else if (json_is_string(json_object_get(p, "hash")))
        printf("policy     version %lld, epoch %lld, %s\n", number(p, "version"), number(p, "epoch"),
               text(p, "hash"));
    else
        printf("policy     version %lld, not signed\n", number(p, "version"));
    json_array_foreach(json_object_get(p, "signers"), i, s) printf("signed     %s\n", json_string_value(s));
    json_array_foreach(json_object_get(p, "parts"), i, s)
        printf("part       %s, version %lld\n", text(s, "name"), number(s, "version"));
}

static void print_why(const json_t *o)
{
    print_decision(o);
    print_targets(o);
    print_act(o, "sticky", "sticky", "key");
    print_act(o, "rewrite", "rewrite", "prefix");
    print_act(o, "mirror", "mirror", "to");
    print_act(o, "request_headers", "request", "edit");
    print_act(o, "response_headers", "response", "edit");
    print_act(o, "fault", "fault", "name");
    print_limits(o);
    print_settings(o);
    print_revoked(json_object_get(o, "revoked"));
    print_basis(o);
}

static int print(json_t *result_take, bool json)
{
    if (json)
        return print_json(result_take);
    print_why(result_take);
    json_decref(result_take);
    return EXIT_GOOD;
}

/* -- the question ------------------------------------------------------------------------------ */

enum { HEADER_NAME_MAX = 255 };

static size_t header_name_len(const char *header)
{
    return strcspn(header, ":=");
}

/* The first that is not "NAME: VALUE", or NULL. */
static const char *bad_header(const struct args_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        size_t n = header_name_len(list->at[i]);
        if (n == 0 || n > HEADER_NAME_MAX || !list->at[i][n])
            return list->at[i];
    }
    return NULL;
}

/* Headers as "name: value" or "name=value", names in lower case. */
static json_t *headers_of(const struct args_list *list)
{
    json_t *o = json_object();
    for (size_t i = 0; i < list->count; i++) {
        char name[HEADER_NAME_MAX + 1];
        size_t n = header_name_len(list->at[i]);
        for (size_t k = 0; k < n; k++)
            name[k] =
                (char)(list->at[i][k] >= 'A' && list->at[i][k] <= 'Z' ? list->at[i][k] + 32 : list->at[i][k]);
        name[n] = 0;
        const char *value = list->at[i] + n + 1;
        json_object_set_new(o, name, json_string(value + strspn(value, " ")));
    }
    return o;
}

/* CALLER SERVICE [METHOD PATH]. What is not given is not sent: a tcp service has neither. */
static json_t *why_request(const char *const *operand, size_t count, const struct args_list *headers)
{
    const char *path = count > 3 ? operand[3] : "";
    size_t n = strcspn(path, "?");
    json_t *o = json_pack("{s:s,s:s,s:s,s:s,s:s%,s:o}", "command", "why", "from",
                          strcmp(operand[0], "-") == 0 ? "" : operand[0], "to", operand[1], "method",
                          count > 2 ? operand[2] : "", "path", path, n, "headers", headers_of(headers));
    if (path[n])
        json_object_set_new(o, "query", json_string(path + n + 1));
    return o;
}

int cli_why(int argc, char **argv)
{
    struct ask a = {0};
    struct args_list operands = {0}, headers = {0};
    const struct args_option options[] = {
        ASK_OPTIONS(a),
        {"header", 'H', "NAME: VALUE", "a header of the request; may be repeated", .list = &headers}};
    const struct args_command cmd = {.name = "why",
                                     .operands = "CALLER SERVICE [METHOD PATH]",
                                     .about =
                                         "Explains what this agent would do with a request: the intention, "
                                         "the route, the instances, the policy they rest on.\n"
                                         "CALLER is the service that asks, or - for an unknown one.",
                                     .option = options,
                                     .option_count = sizeof options / sizeof *options,
                                     .operands_min = 2,
                                     .operands_max = 4};
    int status = args_parse(&cmd, argc, argv, &operands);
    if (status != ARGS_GO)
        return status;
    if (bad_header(&headers))
        return args_usage(&cmd, "--header \"%s\" is not NAME: VALUE", bad_header(&headers));
    json_t *result = ask_agent(&cmd, &a, why_request(operands.at, operands.count, &headers), 0);
    if (!result)
        return EXIT_REFUSED;
    return print(result, a.json);
}

/* -- offline ----------------------------------------------------------------------------------- */

struct why_options {
    const char *ca, *root_file, *overlay;
    struct args_list headers;
    bool json;
};

static json_t *basis_of(const struct loaded *l)
{
    char hash[HASH_TEXT_MAX], key[NODE_ID_TEXT_MAX];
    json_t *o =
        json_pack("{s:s, s:I, s:I}", "mesh", policy_mesh(l->policy), "version",
                  (json_int_t)policy_version(l->policy), "expires", (json_int_t)policy_expires(l->policy));
    json_t *signers = json_array(), *files = json_array();
    for (size_t i = 0; i < l->count; i++)
        json_array_append_new(files, json_string(l->src[i].file));
    for (size_t i = 0; l->is_bundle && i < l->bundle.signer_count; i++)
        json_array_append_new(signers, json_string(node_id_text(&l->bundle.signer[i], key)));
    hex_encode(l->bundle.hash.b, HASH_BYTES, hash);
    json_object_set_new(o, "epoch", l->is_bundle ? json_integer((json_int_t)l->bundle.epoch) : json_null());
    json_object_set_new(o, "hash", l->is_bundle ? json_string(hash) : json_null());
    json_object_set_new(o, "signers", signers);
    json_object_set_new(o, "files", files);
    return o;
}

/* A view of nothing but the policy, so that it is judged as agents judge it. */
static json_t *answer_offline(const struct loaded *l, json_t *question_take, struct buf *told)
{
    static const struct node_id nobody;
    struct view_builder *b = view_builder_new(policy_mesh(l->policy), &nobody, NULL);
    struct view *v = b ? view_builder_finish(b, l->policy, l->bundle.epoch, 1) : NULL;
    const struct places places = {.policy = l->policy};
    const struct why_at at = {.view = v, .offline = true, .places = &places, .now = (wall_s)time(NULL)};
    json_t *o = v ? why_answer(&at, question_take, told) : NULL;
    if (o)
        json_object_set_new(o, "policy", basis_of(l));
    view_unref(v);
    json_decref(question_take);
    return o;
}

/* How many operands are files: the first, and those after it whose names say so. */
static size_t files_in(const struct args_list *operands)
{
    size_t n = 1;
    while (n < operands->count && loaded_is_file(operands->at[n]))
        n++;
    return n;
}

static int why_offline(const struct args_command *cmd, const struct why_options *o,
                       const struct args_list *operands, size_t files)
{
    struct loaded *l = calloc(1, sizeof *l);
    struct buf why = {0};
    json_t *result = NULL;
    if (l && loaded_open(l, operands->at, files, o->ca, o->root_file, &why) == ERR_OK &&
        (!o->overlay || loaded_overlay(l, o->overlay, &why) == ERR_OK))
        result =
            answer_offline(l, why_request(operands->at + files, operands->count - files, &o->headers), &why);
    int status =
        result ? print(result, o->json) : args_refused(cmd, "%s", why.len ? buf_str(&why) : "out of memory");
    if (l)
        loaded_fini(l);
    free(l);
    buf_fini(&why);
    return status;
}

int cli_policy_why(int argc, char **argv)
{
    struct why_options o = {.ca = NULL};
    struct args_list operands = {0};
    const struct args_option options[] = {
        {"root", 0, "FILE", "root of trust, for a bundle", .text = &o.root_file},
        {"ca", 0, "DIR", "folder of a mesh, instead of --root DIR/root.trust", .text = &o.ca},
        {"overlay", 0, "FILE", "with this overlay over it, a text or a signed one", .text = &o.overlay},
        {"header", 'H', "NAME: VALUE", "a header of the request; may be repeated", .list = &o.headers},
        {"json", 0, NULL, "print JSON", .flag = &o.json},
    };
    const struct args_command cmd = {.name = "policy why",
                                     .operands = "FILE... CALLER SERVICE [METHOD PATH]",
                                     .about = "Explains what a policy would do with a request, and where "
                                              "each thing is said. FILE is a policy, several "
                                              "that\ntogether are one (their names end in .yaml or .yml), or "
                                              "a signed bundle. CALLER is the service that "
                                              "asks,\nor - for an unknown one.",
                                     .option = options,
                                     .option_count = sizeof options / sizeof *options,
                                     .operands_min = 3,
                                     .operands_max = ARGS_LIST_MAX};
    int status = args_parse(&cmd, argc, argv, &operands);
    if (status != ARGS_GO)
        return status;
    size_t files = files_in(&operands), rest = operands.count - files;
    if (rest < 2 || rest > 4)
        return args_usage(&cmd, "after the files give CALLER SERVICE, or CALLER SERVICE METHOD PATH");
    if (bad_header(&o.headers))
        return args_usage(&cmd, "--header \"%s\" is not NAME: VALUE", bad_header(&o.headers));
    return why_offline(&cmd, &o, &operands, files);
}
