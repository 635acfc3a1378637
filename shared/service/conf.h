/*
 * kerb.conf: one INI file for all daemons and kerbadm, one table for its keys.
 *
 * Read strictly: an unknown section or key, a key twice, a value out of its range, or a file that others can write is
 * refused with file and line. The reference in docs/kerb.conf.md is printed from the same table
 * (`kerbadm config --markdown`), and a test compares the two.
 */
#ifndef KERB_SERVICE_CONF_H
#define KERB_SERVICE_CONF_H

#include "shared/crypto/key.h"

#define CONF_FILE_MAX (64 * 1024) /* bytes */
#define CONF_TEXT_MAX 512         /* bytes of a value */

/* T(section, key, default, "what it is")   text
 * N(section, key, default, min, max, "unit and reason")   whole number
 * B(section, key, default, "what it is")   yes or no */
/* clang-format off */
#define CONF_TABLE(T, N, B)                                                                                            \
    T(realm, name, "KERB", "name of the realm; sealed into every ticket")                                              \
    T(realm, state, "", "directory of the state; empty: where this file lies")                                         \
    N(realm, clock_skew, 600, 1, 86400, "seconds that a classic client's clock may be behind")                         \
    N(realm, clock_skew_ahead, 600, 1, 50400, "seconds that it may be ahead; up to 14 h for phones that stamp local time") \
    T(realm, profiles, "sealed, classic", "profiles that users may log in with, separated by commas; new passwords get a key for each") \
    T(realm, registration, "closed", "who may make an account of his own: closed (nobody), invite (whoever has a code), open (everybody)") \
    B(realm, check_address, false, "refuse a ticket that comes from another address than it was issued to")            \
    T(as, listen, "127.0.0.1:8801", "address:port of kerb-as")                                                         \
    T(as, master, "file", "where the master key comes from: file (as/master.key), credential (systemd's: kerb-as-master), shares (it waits for kerbadm unseal)") \
    T(as, inner, "127.0.0.1:8811", "address:port on loopback of kerb-as's inner listener: the feed of changes; empty: none") \
    N(as, threads, 2, 1, 64, "threads that serve requests")                                                            \
    N(as, connections_max, 4096, 8, 60000, "open connections; further ones wait in the backlog")                       \
    N(as, request_timeout, 10, 1, 300, "seconds for a whole request, headers and body")                                \
    T(tgs, listen, "127.0.0.1:8802", "address:port of kerb-tgs")                                                       \
    T(tgs, master, "file", "where the master key comes from: file (tgs/master.key), credential (systemd's: kerb-tgs-master), shares (it waits for kerbadm unseal)") \
    T(tgs, inner, "127.0.0.1:8812", "address:port on loopback of kerb-tgs's inner listener: the feed of changes; empty: none") \
    T(tgs, feed, "127.0.0.1:8811", "the AS's inner listener, from which kerb-tgs learns of changes; empty: it does not") \
    N(tgs, threads, 2, 1, 64, "threads that serve requests")                                                           \
    N(tgs, connections_max, 4096, 8, 60000, "open connections; further ones wait in the backlog")                      \
    N(tgs, request_timeout, 10, 1, 300, "seconds for a whole request, headers and body")                               \
    T(chat, listen, "127.0.0.1:8803", "address:port of kerb-chat")                                                     \
    T(chat, master, "file", "where the master key comes from: file (chat/master.key), credential (systemd's: kerb-chat-master), shares (it waits for kerbadm unseal)") \
    T(chat, inner, "127.0.0.1:8813", "address:port on loopback of kerb-chat's inner listener; empty: none")            \
    T(chat, feed, "127.0.0.1:8812", "the TGS's inner listener, from which kerb-chat learns of changes; empty: it does not") \
    T(chat, service, "chat", "the chat's service principal")                                                           \
    T(chat, origins, "", "Origins that browsers may come from (scheme://host:port), separated by spaces; a client without Origin may always come") \
    N(chat, frame_max, 65536, 1024, 1048576, "bytes of a client's message; more closes 1009")                          \
    N(chat, login_timeout, 10, 1, 300, "seconds from connecting to login; then close 4502")                            \
    N(chat, ping_interval, 30, 1, 3600, "seconds without a sign of life after which a ping is sent")                   \
    N(chat, pong_timeout, 20, 1, 3600, "seconds that the pong may take; then close 4004")                              \
    N(chat, connections_max, 20000, 8, 60000, "open connections in all; then close 1013")                              \
    N(chat, connections_per_user_max, 64, 1, 60000, "logged-in connections of one user; then close 4504")              \
    N(chat, connections_per_address_max, 4096, 1, 60000, "connections of one client address, or IPv6 /64; then close 4504")         \
    N(chat, queue_max, 4194304, 65536, 1073741824, "bytes waiting for one slow reader; then close 4003")               \
    N(chat, rooms_max, 100000, 1, 10000000, "rooms in all; bounds the memory")                                         \
    N(chat, rooms_per_user_max, 1000, 1, 100000, "rooms that one user is a member of")                                 \
    N(chat, room_members_max, 2000, 2, 10000, "members of an open room (a sealed one: 255)")                           \
    N(chat, text_max, 16384, 1, 262144, "bytes of a message's text")                                                   \
    N(chat, keep_days_max, 0, 0, 36500, "days for which a room may keep its messages, also one that is there; older ones" \
                                        " are erased; 0: as long as it likes")                                         \
    N(chat, user_data_max, 1048576, 1024, 67108864, "bytes that one user may save on the server, keys included")       \
    N(chat, request_rate, 500, 1, 1000000, "requests a second of one connection, and twice as many of one user; beyond: rate_limited") \
    N(chat, request_burst, 5000, 1, 1000000, "requests that may come at once before that")                           \
    N(policy, classic_tgt_lifetime, 3600, 60, 604800, "seconds that a classic TGT lives")                              \
    N(policy, classic_service_lifetime, 3600, 60, 604800, "seconds that a classic service ticket lives, cut to its TGT's end") \
    N(policy, sealed_tgt_lifetime, 36000, 60, 604800, "seconds that a sealed TGT lives")                               \
    N(policy, sealed_renew_lifetime, 604800, 0, 31536000, "seconds from its login on that a sealed TGT may be renewed; 0: never") \
    N(policy, sealed_service_lifetime, 3600, 60, 604800, "seconds that a sealed service ticket lives, cut to its TGT's end") \
    N(policy, pbkdf2_iterations, 600000, 200000, 10000000, "PBKDF2 iterations of new sealed keys; clients refuse fewer than 200000") \
    N(policy, keytab_delay, 60, 0, 86400, "seconds after which a rotated service key is used, so that keytabs are read before") \
    B(policy, throttle, true, "slow down guessing; no: let everybody guess as fast as he can")                         \
    N(policy, throttle_free, 30, 1, 1000000, "wrong tries for one name that cost no delay; after them one try at a time, behind a delay that doubles") \
    N(policy, throttle_delay_max, 300, 1, 86400, "seconds that this delay grows to")                                   \
    N(policy, throttle_forget, 86400, 60, 31536000, "seconds without a wrong try after which those of a name are forgotten") \
    N(policy, throttle_network, 300, 1, 1000000000, "wrong tries of a network, whatever the names, within throttle_window; more, and it is answered 429") \
    N(policy, throttle_window, 60, 1, 86400, "seconds in which they are counted")                                      \
    T(client, url, "", "for kerb and libkerb: where the realm is, e.g. https://chat.example.org; KERB_URL and --url go before") \
    T(client, realm, "", "for kerb and libkerb: the realm's name; another one is refused; empty: what the first login says") \
    T(client, ca_file, "", "for kerb and libkerb: PEM file of the authorities to trust instead of the system's")       \
    N(client, iterations_min, 200000, 10000, 10000000, "for kerb and libkerb: fewer PBKDF2 iterations are refused, since they make passwords easy to guess") \
    T(proxy, trusted, "", "addresses or networks (a.b.c.d/n) whose X-Forwarded-For is believed, separated by spaces")  \
    T(log, level, "info", "debug, info, warn or error")
/* clang-format on */

struct conf {
#define T(section, key, def, doc)           char section##_##key[CONF_TEXT_MAX + 1];
#define N(section, key, def, min, max, doc) int64_t section##_##key;
#define B(section, key, def, doc)           bool section##_##key;
    CONF_TABLE(T, N, B)
#undef T
#undef N
#undef B
    struct name realm; /* realm_name, parsed */
};

/* A profile is its etype; several are a set of bits. */
#define PROFILE_BIT(etype) (1U << (etype))
#define PROFILE_SEALED     PROFILE_BIT(ETYPE_AES128_CBC_HS256)
#define PROFILE_CLASSIC    PROFILE_BIT(ETYPE_AES128_CBC)

/* "sealed" or "classic". */
const char *profile_name(enum etype etype);

/* [realm] profiles as a set. Errors: BAD_CONFIG (an unknown word, a word twice, none). */
MUST enum rc conf_profiles_parse(const char *text, unsigned *ret);
unsigned conf_profiles(const struct conf *conf); /* of a configuration that was read */

/*
 * Seconds after which no ticket that is issued now can be alive anywhere: the longest lifetime of that kind, and what
 * the clocks of two servers may differ. Keys that are out of use are kept for so long.
 */
int64_t conf_service_ticket_s(const struct conf *conf);
int64_t conf_tgt_s(const struct conf *conf);

/* The defaults. */
void conf_default(struct conf *ret);

/*
 * Out:    ret; error - a sentence with file and line, for a person ("kerb.conf:12: unknown key 'prot' in [as]")
 * Errors: BAD_CONFIG, UNSAFE_FILE, NOT_FOUND, IO
 * An empty realm_state becomes the directory of the file.
 */
MUST enum rc conf_load(const char *path, struct conf *ret, struct buf *error);

/* "state/sub" joined. Errors: NO_MEMORY. */
MUST enum rc conf_path(const struct conf *conf, const char *sub, char **ret); /* AUTO(str_done) */

/* The table as a Markdown reference and as a commented kerb.conf with the defaults. */
MUST enum rc conf_markdown(struct buf *out);
MUST enum rc conf_example(struct buf *out);

/* What every daemon's command line is: --config FILE, --check-config, --unseal, --version, --help. */
struct daemon_args {
    const char *config;
    bool check_only;
    bool unseal; /* the master key comes from shares, whatever the configuration says */
};

/* Returns true to go on; else ret_exit is the exit status (0 after --help, 2 after a wrong word). Prints. */
bool daemon_args_parse(int argc, char **argv, const char *summary, struct daemon_args *ret, int *ret_exit);

#endif
