/*
 * libkerb: log in to a realm once, then get tickets for its services. The sealed profile only; there is no way back to
 * the classic one.
 *
 * A handle (struct kerb) knows where the realm is and holds one user's tickets, which it keeps in a file that other
 * programs of the same user read: after `kerb login` in a terminal, kerb_open() and kerb_get_ticket() is all that a
 * program needs.
 *
 * Results:   KERB_OK or what went wrong; kerb_error() then gives a sentence for people that says what to do.
 * Ownership: what a function hands out through a pointer named ret_... belongs to the caller and is released with the
 *            function named there; const pointers are borrowed and good until the next call with the same handle.
 * Texts:     UTF-8, NUL-terminated. Passwords are given with their length, are not kept, and never leave the process.
 * Times:     Unix seconds UTC, by the server's clock; kerb_now() is this clock, so a wrong local one does no harm.
 * Threads:   a handle has one owner at a time; different handles may be used in parallel.
 * Linking:   pkg-config --cflags --libs kerb
 */
#ifndef KERB_CLIENT_KERB_H
#define KERB_CLIENT_KERB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KERB_NAME_SIZE  257  /* bytes of a name with its terminating zero */
#define KERB_KEY_SIZE   32   /* bytes of a session key: A128CBC-HS256 */
#define KERB_TICKET_MAX 4096 /* letters of a ticket */
#define KERB_URL_MAX    512  /* letters of a URL */

#if defined(__GNUC__)
#define KERB_MUST __attribute__((warn_unused_result))
#else
#define KERB_MUST
#endif

enum kerb_status {
    KERB_OK,
    KERB_BAD_ARGUMENT, /* called wrongly: a name, a URL or a number that cannot be */
    KERB_BAD_CONFIG,   /* kerb.conf cannot be read, or nothing says where the realm is */
    KERB_BAD_CACHE,    /* the ticket file cannot be read or written, or others could read it */
    KERB_NO_TICKET,    /* nobody is logged in */
    KERB_EXPIRED,      /* the tickets are over, or the realm takes them no longer: log in again */
    KERB_REFUSED,      /* wrong name or password; the realm does not say which */
    KERB_NO_SERVICE,   /* the realm has no such service */
    KERB_POLICY,       /* the realm, or the password policy, does not allow it */
    KERB_BUSY,         /* too many tries: wait */
    KERB_UNREACHABLE,  /* no connection, no TLS, or no answer in time */
    KERB_UNTRUSTED,    /* the answer is not what an honest server of this realm sends */
    KERB_SERVER_ERROR, /* the server says that it failed */
    KERB_INTERNAL,     /* out of memory, or cryptography failed */
};

struct kerb;

/* All members may be zero: then the environment is asked, then kerb.conf, then the default is taken. */
struct kerb_options {
    const char *url;     /* of the realm, e.g. "https://chat.example.org"; KERB_URL; [client] url */
    const char *realm;   /* its name; KERB_REALM; [client] realm; none: the first answer tells, later ones must agree */
    const char *config;  /* kerb.conf; KERB_CONFIG; ~/.config/kerb/kerb.conf; /etc/kerb/kerb.conf */
    const char *ca_file; /* PEM file of authorities to trust instead of the system's; KERB_CA_FILE; [client] ca_file */
    const char *cache;   /* file of the tickets; KERB_CCACHE; $XDG_RUNTIME_DIR/kerb/ccache; /tmp/kerb-UID/ccache */
    bool no_cache;       /* keep the tickets in memory only */
    unsigned timeout_s;  /* of one request; 0: 30 */
    /* Tells what goes over the wire, a line at a time: names, sizes, times, what is sealed under what. No secret. */
    void (*trace)(void *ctx, const char *line);
    void *trace_ctx;
};

/*
 * Opens a handle; options may be NULL. Reads kerb.conf, not the tickets, and connects to nobody.
 * Out: *ret is set also when the result is not KERB_OK (NULL only when out of memory), so that kerb_error() works.
 * Errors: BAD_ARGUMENT, BAD_CONFIG, INTERNAL.
 */
KERB_MUST enum kerb_status kerb_open(const struct kerb_options *options, struct kerb **ret);

/* Wipes and frees; accepts NULL. The tickets in the file stay. */
void kerb_close(struct kerb *k);

/*
 * A sentence about the last failure. Never NULL. When a server has refused, it ends with the number of that decision,
 * "(op_id RHBJaXwF6pLjBCWG)": with it an administrator finds the reason (kerbadm audit explain), which the server
 * tells nobody else.
 */
const char *kerb_error(const struct kerb *k);

/* After a login or a change of password that went well: what went wrong beside it, a sentence; mostly "". */
const char *kerb_notice(const struct kerb *k);

/* The name of a result, e.g. "EXPIRED". Never NULL. */
const char *kerb_status_name(enum kerb_status status);

/* --- logging in ------------------------------------------------------------------------------------------------- */

struct kerb_login_options {
    int64_t lifetime_s; /* of the ticket-granting ticket; 0, or more than the realm's maximum: that */
    bool renewable;
    bool forget_vault; /* do not make the vault key: for programs that need no saved shares */
};

/*
 * Proves the password to the realm and keeps the ticket-granting ticket, in place of all tickets from before. Takes
 * some tenths of a second. options may be NULL. When the realm wants more PBKDF2 iterations than the user's key has,
 * the key is strengthened on the way; that this failed is no failure.
 * Errors: BAD_ARGUMENT, REFUSED, BUSY, POLICY, UNREACHABLE, UNTRUSTED, SERVER_ERROR, BAD_CACHE, INTERNAL.
 */
KERB_MUST enum kerb_status kerb_login(struct kerb *k, const char *user, const char *password, size_t password_len,
                                      const struct kerb_login_options *options);

/* A fresh ticket-granting ticket for the one we have. Errors: NO_TICKET, EXPIRED, POLICY (not renewable), as login. */
KERB_MUST enum kerb_status kerb_renew(struct kerb *k);

/* Overwrites and removes the file of the tickets. Errors: NO_TICKET (there was none), BAD_CACHE. */
KERB_MUST enum kerb_status kerb_logout(struct kerb *k);

/* --- tickets ---------------------------------------------------------------------------------------------------- */

struct kerb_ticket {
    char realm[KERB_NAME_SIZE], client[KERB_NAME_SIZE], service[KERB_NAME_SIZE];
    char text[KERB_TICKET_MAX + 1]; /* what the service is given; opaque */
    unsigned char session_key[KERB_KEY_SIZE];
    unsigned kvno;                             /* version of the service's key that seals it */
    int64_t auth_time, start, end, renew_till; /* renew_till 0: not renewable */
};

/*
 * A ticket for a service: from the file when one is good for another minute, else from the realm.
 * Out: ret - the caller's memory; wipe it with kerb_ticket_wipe(). Errors: NO_TICKET, EXPIRED, NO_SERVICE, as login.
 */
KERB_MUST enum kerb_status kerb_get_ticket(struct kerb *k, const char *service, struct kerb_ticket *ret);
void kerb_ticket_wipe(struct kerb_ticket *ticket);

/* A ticket without its secrets, for showing. */
struct kerb_entry {
    const char *service; /* borrowed */
    bool is_tgt;
    unsigned kvno;
    size_t ticket_len; /* letters */
    int64_t auth_time, start, end, renew_till;
};

/* Reads the file. Errors: NO_TICKET (none, or it is for another realm), BAD_CACHE. */
KERB_MUST enum kerb_status kerb_load(struct kerb *k);

/* After KERB_OK from kerb_load(), kerb_login() or kerb_get_ticket(): i from 0 (the TGT); false at the end. */
bool kerb_entry_at(const struct kerb *k, size_t i, struct kerb_entry *ret);
const char *kerb_client(const struct kerb *k);     /* whose tickets they are; "" when there are none */
const char *kerb_realm(const struct kerb *k);      /* "" as long as it is not known */
const char *kerb_url(const struct kerb *k);        /* without a slash at its end; "" when it is not known */
const char *kerb_cache_path(const struct kerb *k); /* "" with no_cache */
int64_t kerb_now(const struct kerb *k);

/* --- services over HTTP ----------------------------------------------------------------------------------------- */

/*
 * Asks a service that speaks docs/PROTOCOL.md 4.3, with a ticket, a fresh challenge, and everything sealed.
 * In:  path - "/as/admin"; service - "kerb/admin"; json - one object
 * Out: ret_json - the object that was sealed for us, to be given to kerb_free()
 * Errors: as kerb_get_ticket(). What the operation itself refuses stands in the object ("ok": false).
 */
KERB_MUST enum kerb_status kerb_call(struct kerb *k, const char *path, const char *service, const char *json,
                                     char **ret_json);
void kerb_free(char *text); /* wipes; accepts NULL */

/* --- accounts --------------------------------------------------------------------------------------------------- */

/* The policy of passwords that people choose: length, common ones, not the name. Errors: POLICY, told. */
KERB_MUST enum kerb_status kerb_password_check(struct kerb *k, const char *user, const char *password,
                                               size_t password_len);

struct kerb_passwd {
    const char *user; /* NULL: who is logged in */
    const char *old_password, *new_password;
    size_t old_len, new_len;
    bool cut_off; /* make all tickets from before worthless */
};

/*
 * Gives the user another password: every key of his is replaced. Who was logged in here stays so, with fresh tickets.
 * Errors: POLICY (password, or the realm), REFUSED (the old one is wrong), as login.
 */
KERB_MUST enum kerb_status kerb_passwd(struct kerb *k, const struct kerb_passwd *p);

struct kerb_register {
    const char *user;
    const char *code; /* one-time code; NULL where the realm is open to everybody */
    const char *password;
    size_t password_len;
};

/* Makes an account, or sets the password that a one-time code is for. Errors: POLICY, REFUSED (code), as login. */
KERB_MUST enum kerb_status kerb_register(struct kerb *k, const struct kerb_register *r);

#ifdef __cplusplus
}
#endif
#endif
