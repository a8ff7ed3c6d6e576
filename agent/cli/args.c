#include "cli/args.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "cli/cli.h"

enum { WORD_MAX = 32, OPTIONS_MAX = 32 };

/* Complaints that come with their own last newline get no second one. */
static void complain(const struct args_command *cmd, const char *fmt, va_list ap)
{
    va_list again;
    va_copy(again, ap);
    int len = vsnprintf(NULL, 0, fmt, ap);
    char *text = len < 0 ? NULL : malloc((size_t)len + 1);
    if (text)
        vsnprintf(text, (size_t)len + 1, fmt, again);
    va_end(again);
    while (text && len > 0 && text[len - 1] == '\n')
        text[--len] = 0;
    fprintf(stderr, "starling %s: %s\n", cmd->name, text ? text : err_text(ERR_NOMEM));
    free(text);
}

int args_usage(const struct args_command *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    complain(cmd, fmt, ap);
    va_end(ap);
    fprintf(stderr, "try: starling %s --help\n", cmd->name);
    return EXIT_USAGE;
}

int args_refused(const struct args_command *cmd, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    complain(cmd, fmt, ap);
    va_end(ap);
    return EXIT_REFUSED;
}

int args_end(const struct args_command *cmd, enum err err, struct buf *why)
{
    if (err)
        args_refused(cmd, "%s", why->len ? buf_str(why) : err_text(err));
    buf_fini(why);
    return err ? EXIT_REFUSED : EXIT_GOOD;
}

/* Edits (insert, remove, replace) from a to b: Wagner and Fischer 1974, one row at a time. */
static size_t edits(const char *a, const char *b)
{
    size_t row[WORD_MAX + 1], a_len = strlen(a), b_len = strlen(b);
    if (a_len > WORD_MAX || b_len > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t replaced = corner + (a[i - 1] != b[j - 1]);
            size_t shorter = row[j] < row[j - 1] ? row[j] : row[j - 1];
            corner = row[j];
            row[j] = replaced < shorter + 1 ? replaced : shorter + 1;
        }
    }
    return row[b_len];
}

const char *args_nearest(const char *word, const char *const *candidate, size_t count)
{
    const char *best = NULL;
    size_t best_edits = 3;
    for (size_t i = 0; i < count; i++) {
        size_t n = edits(word, candidate[i]);
        if (strlen(word) >= 2 && strncmp(candidate[i], word, strlen(word)) == 0)
            n = 1;
        if (n < best_edits && n < strlen(candidate[i])) {
            best = candidate[i];
            best_edits = n;
        }
    }
    return best;
}

bool args_seconds(const char *text, int64_t *out)
{
    static const struct {
        char unit;
        int64_t seconds;
    } table[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}};
    const int64_t century = INT64_C(100) * 366 * 86400;
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return false;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (end[0] != table[i].unit || end[1] != 0)
            continue;
        if (errno || n <= 0 || n > century / table[i].seconds)
            return false;
        *out = n * table[i].seconds;
        return true;
    }
    return false;
}

/* --help. */

static void print_option(const struct args_option *o)
{
    char left[64];
    int n = snprintf(left, sizeof left, "--%s%s%s", o->name, o->value ? " " : "", o->value ? o->value : "");
    if (o->letter && n > 0 && (size_t)n < sizeof left)
        snprintf(left + n, sizeof left - (size_t)n, ", -%c", o->letter);
    printf("  %-28s %s\n", left, o->help);
}

static int print_help(const struct args_command *cmd)
{
    printf("usage: starling %s", cmd->name);
    for (size_t i = 0; i < cmd->option_count; i++) {
        const struct args_option *o = &cmd->option[i];
        if (o->required)
            printf(" --%s %s", o->name, o->value);
    }
    printf("%s%s [options]\n\n%s\n\n", cmd->operands ? " " : "", cmd->operands ? cmd->operands : "",
           cmd->about);
    for (size_t i = 0; i < cmd->option_count; i++)
        print_option(&cmd->option[i]);
    print_option(&(struct args_option){.name = "help", .help = "show this"});
    return EXIT_GOOD;
}

/* Parsing. */

struct parse {
    const struct args_command *cmd;
    int argc, at; /* the argument in hand */
    char **argv;
    struct args_list *operands;
    bool seen[OPTIONS_MAX];
};

static int unknown_option(const struct parse *p, const char *name)
{
    const char *names[OPTIONS_MAX + 1];
    for (size_t i = 0; i < p->cmd->option_count; i++)
        names[i] = p->cmd->option[i].name;
    names[p->cmd->option_count] = "help";
    const char *nearest = args_nearest(name, names, p->cmd->option_count + 1);
    if (nearest)
        return args_usage(p->cmd, "there is no option --%s; did you mean --%s?", name, nearest);
    return args_usage(p->cmd, "there is no option --%s", name);
}

static int append(const struct parse *p, struct args_list *list, const char *what, const char *value)
{
    if (list->count == ARGS_LIST_MAX)
        return args_usage(p->cmd, "more than %d values for %s", ARGS_LIST_MAX, what);
    list->at[list->count++] = value;
    return ARGS_GO;
}

static int store(struct parse *p, size_t i, const char *value)
{
    const struct args_option *o = &p->cmd->option[i];
    if (p->seen[i] && !o->list)
        return args_usage(p->cmd, "--%s is given twice", o->name);
    p->seen[i] = true;
    if (o->flag)
        *o->flag = true;
    else if (o->text)
        *o->text = value;
    else if (o->list)
        return append(p, o->list, o->name, value);
    else if (!args_seconds(value, o->seconds))
        return args_usage(p->cmd, "--%s: \"%s\" is not a length of time; write 90s, 30m, 24h or 7d", o->name,
                          value);
    return ARGS_GO;
}

/* The option's value: what stands after '=' (or after the letter), or else the next argument. */
static int take(struct parse *p, size_t i, const char *attached)
{
    const struct args_option *o = &p->cmd->option[i];
    if (o->flag)
        return attached ? args_usage(p->cmd, "--%s takes no value", o->name) : store(p, i, NULL);
    if (!attached) {
        if (p->at + 1 >= p->argc)
            return args_usage(p->cmd, "--%s needs a value: --%s %s", o->name, o->name, o->value);
        attached = p->argv[++p->at];
    }
    if (!attached[0])
        return args_usage(p->cmd, "--%s: the value is empty; it needs %s", o->name, o->value);
    return store(p, i, attached);
}

static int long_option(struct parse *p, const char *arg)
{
    const char *equals = strchr(arg, '=');
    size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
    char name[WORD_MAX + 1];
    if (len > WORD_MAX)
        return args_usage(p->cmd, "there is no option --%s", arg);
    memcpy(name, arg, len);
    name[len] = 0;
    for (size_t i = 0; i < p->cmd->option_count; i++)
        if (strcmp(p->cmd->option[i].name, name) == 0)
            return take(p, i, equals ? equals + 1 : NULL);
    return strcmp(name, "help") == 0 ? print_help(p->cmd) : unknown_option(p, name);
}

static int short_option(struct parse *p, const char *arg)
{
    for (size_t i = 0; i < p->cmd->option_count; i++)
        if (p->cmd->option[i].letter == arg[0])
            return take(p, i, arg[1] ? arg + 1 : NULL);
    if (arg[0] == 'h' && !arg[1])
        return print_help(p->cmd);
    return args_usage(p->cmd, "there is no option -%s", arg);
}

static int operand(struct parse *p, const char *arg)
{
    if (p->cmd->operands_max == 0 || p->operands->count == p->cmd->operands_max)
        return args_usage(p->cmd, "\"%s\" is one argument too many", arg);
    return append(p, p->operands, "operands", arg);
}

static int check_complete(const struct parse *p)
{
    for (size_t i = 0; i < p->cmd->option_count; i++) {
        const struct args_option *o = &p->cmd->option[i];
        if (o->required && !p->seen[i])
            return args_usage(p->cmd, "--%s %s is missing", o->name, o->value);
    }
    if (p->operands && p->operands->count < p->cmd->operands_min)
        return args_usage(p->cmd, "%s is missing", p->cmd->operands);
    return ARGS_GO;
}

int args_parse(const struct args_command *cmd, int argc, char **argv, struct args_list *operands)
{
    assert(cmd->option_count <= OPTIONS_MAX && (operands || cmd->operands_max == 0));
    struct parse p = {.cmd = cmd, .argc = argc, .argv = argv, .operands = operands};
    bool only_operands = false;
    int status = ARGS_GO;
    for (p.at = 1; p.at < argc && status == ARGS_GO; p.at++) {
        const char *arg = argv[p.at];
        if (only_operands || arg[0] != '-' || !arg[1])
            status = operand(&p, arg);
        else if (strcmp(arg, "--") == 0)
            only_operands = true;
        else if (arg[1] == '-')
            status = long_option(&p, arg + 2);
        else
            status = short_option(&p, arg + 1);
    }
    return status == ARGS_GO ? check_complete(&p) : status;
}
