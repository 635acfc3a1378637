/*
 * Every result of kerb: one table is the only source of codes.
 *
 * The log text tells the truth. The wire code never tells an unknown user from a wrong key, nor which of several
 * checks a forged ticket failed. What has no wire code of its own is our own fault and reads as KRB_ERR_GENERIC.
 */
#ifndef KERB_BASE_RC_H
#define KERB_BASE_RC_H

#include "shared/base/macros.h"

/* clang-format off */
/*    name              HTTP  wire code                        log text                                              */
#define RC_TABLE(X)                                                                                                    \
    X(OK,               200, "",                              "success")                                               \
    X(MALFORMED,        400, "KRB_ERR_MALFORMED",             "request is not well formed")                            \
    X(NO_PATH,          404, "KRB_ERR_MALFORMED",             "no such path")                                          \
    X(BAD_METHOD,       405, "KRB_ERR_MALFORMED",             "method is not POST")                                    \
    X(TOO_LARGE,        413, "KRB_ERR_MALFORMED",             "request is larger than the limit")                      \
    X(NO_CLIENT,        401, "KDC_ERR_PREAUTH_FAILED",        "client principal is not known")                         \
    X(BAD_PREAUTH,      401, "KDC_ERR_PREAUTH_FAILED",        "pre-authentication does not verify")                    \
    X(CLIENT_DISABLED,  401, "KDC_ERR_PREAUTH_FAILED",        "client principal is disabled")                          \
    X(NO_CLIENT_KEY,    401, "KDC_ERR_PREAUTH_FAILED",        "client principal has no key of this profile")           \
    X(HELD,             401, "KDC_ERR_PREAUTH_FAILED",        "too many wrong tries for this client before: not looked at") \
    X(REFLECTED,        401, "KDC_ERR_PREAUTH_FAILED",        "pre-authentication is a reply of ours")                 \
    X(PREAUTH_REQUIRED, 401, "KDC_ERR_PREAUTH_REQUIRED",      "no proof, or none with a usable cookie")                \
    X(PROFILE_OFF,      401, "KDC_ERR_PREAUTH_FAILED",        "realm does not allow this profile")                     \
    X(DOWNGRADE,        401, "KDC_ERR_PREAUTH_FAILED",        "client was shown another offer than ours")              \
    X(BAD_CODE,         401, "KDC_ERR_PREAUTH_FAILED",        "one-time code is not known, used, past its end, or for another name") \
    X(REGISTRATION_CLOSED, 403, "KDC_ERR_POLICY",             "realm takes no registrations of this kind")             \
    X(NAME_TAKEN,       403, "KDC_ERR_POLICY",                "name is taken")                                         \
    X(WEAK_KEYS,        403, "KDC_ERR_POLICY",                "new key has fewer or more iterations than clients accept") \
    X(NOT_ADMIN,        403, "KDC_ERR_POLICY",                "client is no administrator")                            \
    X(SKEW,             401, "KRB_AP_ERR_SKEW",               "client clock is outside the allowed skew")              \
    X(REPEAT,           401, "KRB_AP_ERR_REPEAT",             "request was seen before")                               \
    X(TKT_EXPIRED,      401, "KRB_AP_ERR_TKT_EXPIRED",        "ticket is past its end")                                \
    X(NO_CHALLENGE,     401, "KDC_ERR_PREAUTH_REQUIRED",      "no authenticator, or none with a usable challenge")     \
    X(CUT_OFF,          401, "KRB_AP_ERR_TKT_EXPIRED",        "ticket is of before its client was cut off")            \
    X(RENEW_OVER,       401, "KRB_AP_ERR_TKT_EXPIRED",        "ticket may be renewed no longer")                       \
    X(TKT_BEFORE_CRASH, 401, "KRB_AP_ERR_TKT_EXPIRED",        "ticket is older than the start after a crash")          \
    X(MODIFIED,         401, "KRB_AP_ERR_MODIFIED",           "ticket or authenticator does not open")                 \
    X(NO_KVNO,          401, "KRB_AP_ERR_MODIFIED",           "ticket names a key version that is not here")           \
    X(NOT_US,           401, "KRB_AP_ERR_MODIFIED",           "ticket is for another server or realm")                 \
    X(BAD_ETYPE,        401, "KRB_AP_ERR_MODIFIED",           "ticket is of another profile")                          \
    X(BAD_ADDRESS,      401, "KRB_AP_ERR_MODIFIED",           "ticket was issued to another address")                  \
    X(BAD_MATCH,        401, "KRB_AP_ERR_BADMATCH",           "ticket and authenticator name different clients")       \
    X(NO_SERVICE,       400, "KDC_ERR_S_PRINCIPAL_UNKNOWN",   "service principal is not known")                        \
    X(SERVICE_DISABLED, 403, "KDC_ERR_POLICY",                "service principal is disabled")                         \
    X(NOT_RENEWABLE,    403, "KDC_ERR_POLICY",                "ticket was not issued as renewable")                    \
    X(RATE_LIMITED,     429, "KERB_ERR_RATE_LIMITED",         "too many requests are remembered for this client")      \
    X(CACHE_FULL,       429, "KERB_ERR_RATE_LIMITED",         "replay cache is full and fails closed")                 \
    X(FLOODED,          429, "KERB_ERR_RATE_LIMITED",         "too many wrong tries from this network")                \
    X(LINK_DOWN,        500, "KRB_ERR_GENERIC",               "the link to the daemon that tells of changes is down")  \
    X(STOPPED,          500, "KRB_ERR_GENERIC",               "asked to stop")                                         \
    X(NO_MEMORY,        500, "KRB_ERR_GENERIC",               "out of memory")                                         \
    X(IO,               500, "KRB_ERR_GENERIC",               "input or output failed")                                \
    X(CRYPTO,           500, "KRB_ERR_GENERIC",               "cryptographic library failed")                          \
    X(DB,               500, "KRB_ERR_GENERIC",               "database failed")                                       \
    X(DB_NEWER,         500, "KRB_ERR_GENERIC",               "database was written by a newer program")               \
    X(DB_FOREIGN,       500, "KRB_ERR_GENERIC",               "database belongs to another program")                   \
    X(BAD_ROW,          500, "KRB_ERR_GENERIC",               "sealed row does not open under this master key")        \
    X(NO_KEY,           500, "KRB_ERR_GENERIC",               "no usable key")                                         \
    X(NO_SHARES,        500, "KRB_ERR_GENERIC",               "master key waits for its shares")                       \
    X(UNSAFE_FILE,      500, "KRB_ERR_GENERIC",               "file may be read or written by others")                 \
    X(BAD_CONFIG,       500, "KRB_ERR_GENERIC",               "configuration is not valid")                            \
    X(EXISTS,           500, "KRB_ERR_GENERIC",               "it exists already")                                     \
    X(NOT_FOUND,        500, "KRB_ERR_GENERIC",               "no such thing")                                         \
    X(LIMIT,            500, "KRB_ERR_GENERIC",               "a limit is reached")
/* clang-format on */

/* clang-format off */
enum rc {
#define X(name, http, wire, text) RC_##name,
    RC_TABLE(X)
#undef X
    RC_COUNT
};
/* clang-format on */

/* The name without its prefix ("TKT_EXPIRED"), for the log. Never NULL. */
const char *rc_name(enum rc rc);

/* What happened, in words, for the log and for the administrator. Never NULL, never sent to a client. */
const char *rc_text(enum rc rc);

/* The error code of docs/PROTOCOL.md and its HTTP status. */
const char *rc_wire(enum rc rc);
int rc_http(enum rc rc);

#endif
