/* `policy schema`: the language as a JSON Schema (draft 7, the one that editors' YAML support knows), for completion, hints
 * and early complaints while a policy is written. `policy check` is the judge: what depends on other places in the file
 * (a subset that nobody defines, weights that are all zero) no schema can say.
 *
 * The language is the table below, a row for each key. tests/unit/cli_policy_schema.c asks the compiler at each map which
 * keys it knows, so neither can have one that the other lacks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "cli/args.h"
#include "cli/cli.h"

/* A path is of keys with dots between; `*` is any key, `[]` each entry of a list, a `!` behind a key says that it has to be
 * there. Paths that begin with a word in angle brackets stand in several places (`shared`). Types are those of `types`;
 * "enum a b" one of these words, "int 1 5" a whole number; an empty one only describes a map or list. */
static const struct row {
    const char *path, *type, *about;
} rows[] = {
    {"policy!", "enum v1", "The language's version."},
    {"mesh!", "name", "The trust domain that this policy is for."},
    {"version!", "int 1 9223372036854775807", "Must rise; a lower one is refused everywhere."},
    {"expires", "time", "Afterwards the policy is still enforced, and flagged."},
    {"part", "name", "The delegation that this text is a part of."},

    {"rollout", "", "How this version itself reaches the agents; all at once if left out."},
    {"rollout.steps![]", "step",
     "LABEL=VALUE: the agents with that label. 10%: that share of all. The last is 100%."},
    {"rollout.pause", "duration", "After each step (5m)."},
    {"rollout.haltIf", "", "Halt when the new version is worse than the old by more than this."},
    {"rollout.haltIf.errorRate", "rise", "Points of the requests."},
    {"rollout.haltIf.p99", "rise", "Of the old version's."},
    {"rollout.haltIf.denied", "rise", "Points of the requests."},
    {"rollout.haltIf.minRequests", "int 1 1000000000",
     "Seen on each side before anything is compared (200)."},

    {"defaults", "", "What holds for every service that does not say otherwise."},
    {"<settings>.encryption", "enum strict permissive off",
     "strict: every link encrypted and authenticated."},
    {"<settings>.unmatched", "enum deny audit", "When no intention matches (deny)."},
    {"<settings>.loadBalancer.policy", "enum peakEwma leastRequest roundRobin random ringHash maglev",
     "(peakEwma)"},
    {"<settings>.loadBalancer.key", "sender", "What ringHash and maglev hash."},
    {"<settings>.loadBalancer.decay", "duration", "A measured latency falls to 1/e in this time (10s)."},
    {"<settings>.loadBalancer.slowStart", "duration", "A new instance's share rises over this time (30s)."},
    {"<settings>.locality.prefer[]", "text",
     "Labels shared with the caller's host, nearest first ([zone, region])."},
    {"<settings>.locality.failoverBelow", "percent",
     "Fewer healthy than this: spill to the next locality (70%)."},
    {"<settings>.locality.panicBelow", "percent", "Fewer healthy than this: all are used (50%)."},
    {"<settings>.circuitBreaker.maxConnections", "int 1 1000000", "Of one agent to the service (1024)."},
    {"<settings>.circuitBreaker.maxPending", "int 1 1000000", "Waiting for a connection (1024)."},
    {"<settings>.circuitBreaker.maxRequests", "int 1 1000000", "At once (1024)."},
    {"<settings>.outlierDetection.consecutive5xx", "int 0 1000000", "So many in a row eject; 0: never (5)."},
    {"<settings>.outlierDetection.successRate.below", "percent", "0%: never (80%)."},
    {"<settings>.outlierDetection.successRate.interval", "duration", "(10s)"},
    {"<settings>.outlierDetection.successRate.minRequests", "int 1 1000000", "(20)"},
    {"<settings>.outlierDetection.ejection.base", "duration", "Times how often it was ejected (30s)."},
    {"<settings>.outlierDetection.ejection.max", "duration", "(5m)"},
    {"<settings>.outlierDetection.ejection.maxPercent", "int 0 100", "Of the instances at once (50)."},
    {"<settings>.limits.headerBytes", "size", "Of a request's head, 1KiB to 1MiB (60KiB)."},
    {"<settings>.limits.headers", "int 1 1000", "(100)"},
    {"<settings>.limits.replayBody", "size", "A longer body is not kept for a retry, up to 16MiB (64KiB)."},
    {"<settings>.drain", "duration", "A leaving instance waits so long for its callers (20s)."},
    {"<timing>.timeouts.connect", "duration", "To reach an instance (1s)."},
    {"<timing>.timeouts.request", "duration",
     "From the whole request to the whole answer, all tries together (15s)."},
    {"<timing>.timeouts.perTry", "duration", "For one try (5s)."},
    {"<timing>.timeouts.idle", "duration", "Without a byte in either direction (1h)."},
    {"<timing>.timeouts.stream", "duration", "The whole life of a stream or tcp connection (0s: no end)."},
    {"<timing>.retry.attempts", "int 0 10", "Besides the first try (1)."},
    {"<timing>.retry.on[]", "retry-on", "connect-failure, refused-stream, or a status from 400 to 599."},
    {"<timing>.retry.backoff.base", "duration", "Doubled with each try (25ms)."},
    {"<timing>.retry.backoff.max", "duration", "(250ms)"},
    {"<timing>.retry.budget.percent", "int 0 100", "Of the requests of the last interval (20)."},
    {"<timing>.retry.budget.interval", "duration", "(10s)"},
    {"<timing>.retry.budget.minPerSecond", "int 0 1000000", "Or this many, if that is more (10)."},

    {"services", "", "The services of the mesh, by name."},
    {"services.*.protocol!", "enum http tcp http2 grpc", "Never guessed from the bytes."},
    {"services.*.port", "int 1 65535", "The port by which callers know it."},
    {"services.*.subsets", "", "Groups of instances, by the labels they carry."},
    {"services.*.subsets.*.*", "text", "The label's value."},
    {"services.*.failover[].service!", "name", "Used when too few instances are healthy."},
    {"services.*.rateLimits", "", "Each that applies must grant a request; a refusal is 429."},
    {"services.*.rateLimits[].scope!", "enum instance mesh", "mesh: the sum over all agents is bounded."},
    {"services.*.rateLimits[].per", "sender", "A bucket for each of these; one bucket if left out."},
    {"services.*.rateLimits[].rate!", "rate", "100/s, 6000/m or 10/h."},
    {"services.*.rateLimits[].burst", "int 1 1000000", "So many at once."},
    {"services.*.rateLimits[].route", "text", "Only requests that took this route."},
    {"services.*.rateLimits[].ifPartitioned", "enum share full",
     "What an agent grants that sees part of the mesh (share)."},
    {"services.*.routes", "", "The first whose match fits takes the request."},
    {"services.*.routes[].name!", "text", "Shown in answers, logs and metrics."},
    {"services.*.routes[].match", "", "Any one will do; left out: every request."},
    {"services.*.routes[].to", "", "Left out: any instance."},
    {"services.*.routes[].to[].subset", "text", "Left out: any instance."},
    {"services.*.routes[].to[].weight", "int 0 1000000", "(1)"},
    {"services.*.routes[].sticky", "key", "Split by a hash of this instead of by chance."},
    {"services.*.routes[].rewrite.prefix!", "text", "Instead of the prefix that matched."},
    {"services.*.routes[].mirror.to!", "name", "Gets copies, whose answers are thrown away."},
    {"services.*.routes[].mirror.percent", "share", "Of the requests (100)."},
    {"services.*.routes[].requestHeaders.set.*", "text", "The new value."},
    {"services.*.routes[].requestHeaders.remove[]", "text", "Removed before others are set."},
    {"services.*.routes[].responseHeaders.set.*", "text", "The new value."},
    {"services.*.routes[].responseHeaders.remove[]", "text", "Removed before others are set."},
    {"<match>.method", "text", "Case-sensitive."},
    {"<match>.path.exact", "text", "That path."},
    {"<match>.path.prefix", "text", "That path and all below, by whole segments."},
    {"<match>.path.regex", "text", "A path that fits as a whole (RE2's syntax)."},
    {"<match>.headers.*.exact", "text", "With that value."},
    {"<match>.headers.*.prefix", "text", "With a value that begins so."},
    {"<match>.headers.*.regex", "text", "With a value that fits as a whole (RE2's syntax)."},
    {"<match>.headers.*.present", "bool", "There, or not there."},
    {"<match>.query.*.exact", "text", "With that value."},
    {"<match>.query.*.prefix", "text", "With a value that begins so."},
    {"<match>.query.*.regex", "text", "With a value that fits as a whole (RE2's syntax)."},
    {"<match>.query.*.present", "bool", "There, or not there."},

    {"intentions", "", "Who may call whom: any deny beats every allow."},
    {"intentions[].name!", "text", "Shown in refusals, logs and tests."},
    {"intentions[].from![]", "caller", "Calling services, or \"*\" for everybody."},
    {"intentions[].except[]", "name", "Callers taken out of `from`."},
    {"intentions[].to!", "name", "The service called."},
    {"intentions[].mode", "enum audit", "Decides nothing; what it would have changed is recorded."},
    {"<clause>.methods[]", "text", "Left out: any."},
    {"<clause>.paths[]", "text", "/exact, or /below/*."},
    {"<clause>.grpc", "text", "shop.Orders/Place or shop.Orders/*."},

    {"egress[].name!", "text", "Where services may go outside of the mesh."},
    {"egress[].from![]", "caller", "Calling services, or \"*\" for everybody."},
    {"egress[].to!", "text", "A host's name, or *.example for every name below."},
    {"egress[].ports![]", "int 1 65535", "Ports of that host."},

    {"faults[].name!", "text", "A disturbance on purpose."},
    {"faults[].to!", "name", "The service whose requests are disturbed."},
    {"faults[].match", "", "As in a route; left out: every request."},
    {"faults[].abort.status", "int 400 599", "The answer; on tcp the connection is closed."},
    {"faults[].abort.percent", "share", "Of the requests (100)."},
    {"faults[].delay.fixed!", "duration", "Waited before anything else."},
    {"faults[].delay.percent", "share", "Of the requests (100)."},
    {"faults[].until!", "time", "Afterwards it is off."},

    {"observability.log.level", "enum debug info warn error", "Instead of the agents' own."},
    {"observability.log.modules.*", "enum debug info warn error", "Of one module."},
    {"observability.accessLog.format", "enum json text", "(json)"},
    {"observability.accessLog.sample", "percent", "So many of all requests (1%)."},
    {"observability.accessLog.always[]", "enum errors denied audited", "And all of these."},
    {"observability.accessLog.redact[]", "text", "Headers whose values are never written."},
    {"observability.tracing.sample", "percent", "Of the requests that come without a decision (1%)."},
    {"observability.tracing.propagate[]", "enum w3c b3", "Which headers."},
    {"observability.tracing.otlp", "text", "URL of the collector."},
    {"observability.metrics.labels[]", "enum route method subset caller", "([route, method])"},
    {"observability.metrics.maxSeries", "int 100 1000000", "Further ones are counted together (10000)."},

    {"audit.record[]", "enum policy identity membership denied admin",
     "What the tamper-evident log keeps (all)."},
    {"audit.keep", "days", "(90d)"},
    {"audit.witnesses", "int 0 16", "Other agents that remember the log's head (3)."},
    {"audit.every", "duration", "How often they are told (1m)."},

    {"revoke[].key!", "public-key", "Of a host, a token, or who makes tokens."},
    {"revoke[].reason!", "text", "Shown to whoever is refused for it."},
    {"revoke[].at!", "time", "When it was found out."},

    {"tests", "", "The signer refuses to sign a policy that fails one."},
    {"tests[].from!", "name", "The calling service."},
    {"tests[].to!", "name", "The service called."},
    {"tests[].request", "text", "METHOD /path?query; not for tcp."},
    {"tests[].expect!", "enum allow deny", "The verdict."},
    {"tests[].rule", "text", "The rule that must decide, or unmatched."},
    {"tests[].route", "text", "The route that must take it."},
    {"tests[].subset", "texts", "It may go to these and no others."},
};

static const struct {
    const char *word, *place[4];
} shared[] = {
    {"<settings>", {"defaults", "services.*"}},
    {"<timing>", {"defaults", "services.*", "services.*.routes[]"}},
    {"<match>", {"services.*.routes[].match[]", "faults[].match[]"}},
    {"<clause>", {"intentions[].allow[]", "intentions[].deny[]"}},
};

/* Words and numbers are what their key makes of them, in quotes or not: so whatever is text may look like a number. */
#define ANY_SCALAR "{\"type\": [\"string\", \"number\", \"boolean\"]"
#define NAMED                                                                                                \
    "{\"type\": \"object\", \"additionalProperties\": false, \"minProperties\": 1, \"maxProperties\": 1, "   \
    "\"properties\": {\"header\": {\"type\": \"string\", \"description\": \"The value of this header.\"}, "  \
    "\"cookie\": {\"type\": \"string\", \"description\": \"The value of this cookie.\"}}}"
#define DURATION "([0-9]{1,5}(h|m|s|ms)){1,4}"
static const struct {
    const char *name, *schema;
} types[] = {
    {"text", ANY_SCALAR "}"},
    {"texts", "{\"anyOf\": [" ANY_SCALAR "}, {\"type\": \"array\", \"items\": " ANY_SCALAR "}}]}"},
    {"name", ANY_SCALAR ", \"pattern\": \"^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$\"}"},
    {"caller", ANY_SCALAR ", \"pattern\": \"^([*]|[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?)$\"}"},
    {"bool", "{\"type\": \"boolean\"}"},
    {"duration", "{\"type\": \"string\", \"pattern\": \"^" DURATION "$\"}"},
    {"days", "{\"type\": \"string\", \"pattern\": \"^([0-9]{1,5}d|" DURATION ")$\"}"},
    {"percent", "{\"type\": \"string\", \"pattern\": \"^[0-9]{1,3}([.][0-9]{1,4})?%$\"}"},
    {"rise", "{\"type\": \"string\", \"pattern\": \"^[+][0-9]{1,4}([.][0-9]{1,4})?%$\"}"},
    {"size", "{\"type\": \"string\", \"pattern\": \"^[0-9]+(B|KiB|MiB)$\"}"},
    {"rate", "{\"type\": \"string\", \"pattern\": \"^[0-9]+/[smh]$\"}"},
    {"time",
     "{\"type\": \"string\", \"pattern\": \"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$\"}"},
    {"step", "{\"type\": \"string\", \"pattern\": \"^([^=]+=[^=]+|[0-9]{1,3}([.][0-9]{1,4})?%)$\"}"},
    {"share",
     "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 0, \"maximum\": 100}, {\"type\": \"string\"}]}"},
    {"retry-on",
     "{\"anyOf\": [{\"type\": \"integer\", \"minimum\": 400, \"maximum\": 599}, {\"type\": \"string\", "
     "\"pattern\": \"^(connect-failure|refused-stream|[45][0-9][0-9])$\"}]}"},
    {"public-key", "{\"type\": \"string\", \"pattern\": \"^ed25519:[0-9a-f]{64}$\"}"},
    {"key", NAMED},
    {"sender", "{\"anyOf\": [{\"enum\": [\"source\"]}, " NAMED "]}"},
};

/* -- the type of a key ------------------------------------------------------------------------------- */

static json_t *schema_of_enum(const char *words)
{
    json_t *list = json_array();
    while (*words) {
        size_t len = strcspn(words, " ");
        json_array_append_new(list, json_stringn(words, len));
        words += len + (words[len] == ' ');
    }
    return json_pack("{s:o}", "enum", list);
}

static json_t *schema_of_int(const char *bounds)
{
    char *rest;
    long long min = strtoll(bounds, &rest, 10), max = strtoll(rest, NULL, 10);
    return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)min, "maximum",
                     (json_int_t)max);
}

static json_t *schema_of(const char *type)
{
    if (strncmp(type, "enum ", 5) == 0)
        return schema_of_enum(type + 5);
    if (strncmp(type, "int ", 4) == 0)
        return schema_of_int(type + 4);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (strcmp(types[i].name, type) == 0)
            return json_loads(types[i].schema, 0, NULL);
    return NULL;
}

/* -- the tree ---------------------------------------------------------------------------------------- */

static json_t *inner(json_t *node, const char *key, json_t *fresh)
{
    json_t *there = json_object_get(node, key);
    if (json_is_object(there)) {
        json_decref(fresh);
        return there;
    }
    json_object_set_new(node, key, fresh);
    return fresh;
}

static void require(json_t *node, const char *key)
{
    json_t *list = json_object_get(node, "required"), *one;
    size_t i;
    if (!list)
        json_object_set_new(node, "required", list = json_array());
    json_array_foreach(list, i, one) if (strcmp(json_string_value(one), key) == 0) return;
    json_array_append_new(list, json_string(key));
}

/* The schema of `key` in the map that `node` describes; `*`: of any key. */
static json_t *step_into_map(json_t *node, const char *key)
{
    json_object_set_new(node, "type", json_string("object"));
    if (strcmp(key, "*") == 0)
        return inner(node, "additionalProperties", json_object());
    if (!json_object_get(node, "additionalProperties"))
        json_object_set_new(node, "additionalProperties", json_false());
    return inner(inner(node, "properties", json_object()), key, json_object());
}

/* Walks a path from `node`, making what is not there yet. */
static json_t *walk(json_t *node, const char *path)
{
    char key[64];
    while (*path) {
        size_t len = strcspn(path, ".![");
        snprintf(key, sizeof key, "%.*s", (int)len, path);
        path += len;
        json_t *map = node;
        node = step_into_map(node, key);
        if (*path == '!') {
            require(map, key);
            path++;
        }
        if (strncmp(path, "[]", 2) == 0) {
            json_object_set_new(node, "type", json_string("array"));
            node = inner(node, "items", json_object());
            path += 2;
        }
        path += *path == '.';
    }
    return node;
}

static void place_row(json_t *root, const char *path, const struct row *r)
{
    json_t *node = walk(root, path), *type = *r->type ? schema_of(r->type) : NULL;
    if (type)
        json_object_update(node, type);
    json_decref(type);
    json_object_set_new(node, "description", json_string(r->about));
}

static void place(json_t *root, const struct row *r)
{
    char path[160];
    size_t places = 0, len = strcspn(r->path, ">") + 1;
    for (size_t i = 0; *r->path == '<' && i < sizeof shared / sizeof *shared; i++)
        for (size_t j = 0; strncmp(shared[i].word, r->path, len) == 0 && j < 4 && shared[i].place[j]; j++) {
            snprintf(path, sizeof path, "%s%s", shared[i].place[j], r->path + len);
            place_row(root, path, r);
            places++;
        }
    if (places == 0)
        place_row(root, r->path, r);
}

json_t *cli_policy_schema_json(void)
{
    json_t *root = json_pack("{s:s, s:s}", "$schema", "http://json-schema.org/draft-07/schema#", "title",
                             "Starling policy v1");
    for (size_t i = 0; root && i < sizeof rows / sizeof *rows; i++)
        place(root, &rows[i]);
    return root;
}

int cli_policy_schema(int argc, char **argv)
{
    const struct args_command command = {.name = "policy schema",
                                         .about = "Prints the language as a JSON Schema (draft 7), for "
                                                  "editors: completion, hints, early complaints."};
    int status = args_parse(&command, argc, argv, NULL);
    if (status != ARGS_GO)
        return status;
    json_t *schema = cli_policy_schema_json();
    bool good = schema && json_dumpf(schema, stdout, JSON_INDENT(2)) == 0 && putchar('\n') != EOF;
    json_decref(schema);
    return good ? EXIT_GOOD : args_refused(&command, "it could not be written");
}
