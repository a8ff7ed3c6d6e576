/* The one error enumeration. Three classes of failure exist, and each function's comment says which it
 * returns: the caller's bug      -> assert, never an error code; the remote's fault    -> ERR_MALFORMED,
 * ERR_AUTH, ...: count it, drop or refuse, at most a rate-limited debug line; our own failure       ->
 * ERR_NOMEM, ERR_IO, ERR_FULL, ...: logged once where it is first seen. Library error codes are translated at
 * the library's home room and do not leave it. */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#define must_check __attribute__((warn_unused_result))

#define ERR_LIST(X)                                                                                          \
    X(OK, "ok")                                                                                              \
    X(NOMEM, "out of memory")                                                                                \
    X(MALFORMED, "malformed")                                                                                \
    X(AUTH, "not authentic")                                                                                 \
    X(EXPIRED, "expired")                                                                                    \
    X(DENIED, "not permitted")                                                                               \
    X(NOT_FOUND, "not found")                                                                                \
    X(EXISTS, "already exists")                                                                              \
    X(STALE, "older than what is known")                                                                     \
    X(CONFLICT, "conflicts with what is known")                                                              \
    X(FOREIGN, "belongs to another mesh")                                                                    \
    X(LIMIT, "over a limit")                                                                                 \
    X(FULL, "full")                                                                                          \
    X(AGAIN, "not now")                                                                                      \
    X(IO, "input/output error")                                                                              \
    X(DAMAGED, "damaged")                                                                                    \
    X(UNSUPPORTED, "not supported")                                                                          \
    X(INVALID, "not valid")                                                                                  \
    X(CLOSED, "closed")                                                                                      \
    X(REFUSED, "refused")                                                                                    \
    X(UNREACHABLE, "unreachable")                                                                            \
    X(TIMEOUT, "timed out")                                                                                  \
    X(REVOKED, "revoked")

enum err {
#define X(name, text) ERR_##name,
    ERR_LIST(X)
#undef X
};

/* A static, human-readable text. Never NULL. */
static inline const char *err_text(enum err e)
{
    static const char *const text[] = {
#define X(name, words) words,
        ERR_LIST(X)
#undef X
    };
    return (unsigned)e < sizeof text / sizeof *text ? text[e] : "unknown error";
}

#endif
