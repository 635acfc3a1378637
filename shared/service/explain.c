/* Results in words. */
#include "shared/service/explain.h"

#include <string.h>

/* clang-format off */
static const char *const sentences[RC_COUNT] = {
    [RC_OK] = "It was granted.",
    [RC_MALFORMED] = "The request could not be read: a field is missing, too long, of the wrong kind or badly encoded. The client's program is at fault.",
    [RC_NO_PATH] = "There is nothing at the path that was asked for. The client's URL is wrong.",
    [RC_BAD_METHOD] = "It came with another HTTP method than POST. The client's program is at fault.",
    [RC_TOO_LARGE] = "The request is larger than requests may be.",
    [RC_NO_CLIENT] = "There is no user of this name. The client was told the same as for a wrong password.",
    [RC_BAD_PREAUTH] = "The password was wrong: the proof does not open under the user's key.",
    [RC_CLIENT_DISABLED] = "The user is disabled, so the password was of no account. 'kerbadm user enable' lets him in again.",
    [RC_NO_CLIENT_KEY] = "The user has no key for this profile: it was dropped, or never made. A new password makes one where the realm allows the profile.",
    [RC_HELD] = "There had been too many wrong passwords for this name, so this one was not looked at and answered like a wrong one, right or not. It goes on after a while by itself, or at once with 'kerbadm user unlock'.",
    [RC_REFLECTED] = "A reply of this server was sent back as if it were a request. Somebody who listened is trying it.",
    [RC_PREAUTH_REQUIRED] = "The client asked without a proof, or with a cookie that was too old, used or not its own, and was told how to prove itself. This is how every sealed login begins; it is no failure.",
    [RC_PROFILE_OFF] = "The realm does not allow this profile ([realm] profiles), so the password was of no account.",
    [RC_DOWNGRADE] = "The password was right, but the client had been shown another offer than ours: somebody changed the answer on its way.",
    [RC_BAD_CODE] = "The one-time code is not known here, was used, is older than an hour, or is for another name. An administrator makes a new one.",
    [RC_REGISTRATION_CLOSED] = "The realm takes no registrations of this kind ([realm] registration).",
    [RC_NAME_TAKEN] = "There is a user of that name already, perhaps spelled with other capitals.",
    [RC_WEAK_KEYS] = "The new key was made with fewer or more iterations than clients accept. The client's program is at fault.",
    [RC_NOT_ADMIN] = "The client is no administrator. 'kerbadm admin grant' makes him one.",
    [RC_SKEW] = "The password or ticket was right, but the client's clock is further off than the realm allows. Set the clock, or raise [realm] clock_skew.",
    [RC_REPEAT] = "The very same request was accepted before. A client that sends twice does this, and so does somebody who recorded it.",
    [RC_TKT_EXPIRED] = "The ticket is past its end. The user has to log in again.",
    [RC_NO_CHALLENGE] = "The client asked without an authenticator, or with a challenge that was too old or used, and was given a challenge. This is how every such request begins; it is no failure.",
    [RC_CUT_OFF] = "The ticket was issued before its user was cut off: disabled, deleted, given a new password, or by an administrator. The user has to log in again.",
    [RC_RENEW_OVER] = "The ticket cannot be renewed any more: the time up to which it could is over. The user has to log in again.",
    [RC_TKT_BEFORE_CRASH] = "The ticket was issued before this daemon last ended without an orderly stop. What was accepted under it then is not known, so it is refused. The user has to log in again.",
    [RC_MODIFIED] = "The ticket or the authenticator does not open: it was changed, is under another key, or is nonsense.",
    [RC_NO_KVNO] = "The ticket names a version of the key that is not here: it was purged, or the keytab is older than the key.",
    [RC_NOT_US] = "The ticket is good, but for another service or realm.",
    [RC_BAD_ETYPE] = "The ticket is of the other profile than the request.",
    [RC_BAD_ADDRESS] = "The ticket was issued to another address, and [realm] check_address is on.",
    [RC_BAD_MATCH] = "The ticket and the authenticator name different users.",
    [RC_NO_SERVICE] = "There is no service of this name. 'kerbadm service list' shows those that there are.",
    [RC_SERVICE_DISABLED] = "The service is disabled.",
    [RC_NOT_RENEWABLE] = "The ticket was not issued as renewable: the client did not ask for that when it logged in.",
    [RC_RATE_LIMITED] = "This one client has made more requests than are remembered for one client. It has to wait some minutes.",
    [RC_CACHE_FULL] = "The memory of requests that were accepted is full, and nothing is accepted that could not be remembered. Somebody makes very many logins.",
    [RC_FLOODED] = "There had been too many wrong tries from this network, whatever the names, so it was told to wait.",
    [RC_LINK_DOWN] = "The daemon has not heard for a while from the one that tells it of changes. Either that one does not run, or [tgs] feed or [chat] feed is wrong.",
    [RC_STOPPED] = "The daemon was stopping.",
    [RC_NO_MEMORY] = "The daemon was out of memory.",
    [RC_IO] = "Reading or writing failed: the log of the daemon, the disk and the rights on its files tell more.",
    [RC_CRYPTO] = "The cryptographic library failed. This should not happen: see the daemon's log.",
    [RC_DB] = "The database failed: the disk may be full or faulty. 'kerbadm check' tells more.",
    [RC_DB_NEWER] = "The database was written by a newer kerb than this one.",
    [RC_DB_FOREIGN] = "The database belongs to another program or daemon.",
    [RC_BAD_ROW] = "A sealed row of the database does not open: it was changed or moved, or the master key is another one. 'kerbadm check' finds which.",
    [RC_NO_KEY] = "There is no key whose time has come. 'kerbadm check' tells which is missing.",
    [RC_NO_SHARES] = "The master key comes from shares, and too few were handed in since the start ('kerbadm unseal').",
    [RC_UNSAFE_FILE] = "A file with secrets can be read or written by others, so it was not used. Its mode must be 0600.",
    [RC_BAD_CONFIG] = "kerb.conf is not valid.",
    [RC_EXISTS] = "What was to be made exists already, perhaps in another spelling of upper and lower case.",
    [RC_NOT_FOUND] = "What was asked for does not exist: a code may be used up or older than an hour.",
    [RC_LIMIT] = "A limit is reached.",
};
/* clang-format on */

const char *explain_result(enum rc rc)
{
    const char *text = (size_t)rc < RC_COUNT ? sentences[rc] : NULL;
    return text ? text : "";
}

enum rc explain_find(struct slice name, enum rc *ret)
{
    for (enum rc rc = 0; rc < RC_COUNT; rc++)
        if (slice_eq(name, slice_text(rc_name(rc)))) {
            *ret = rc;
            return RC_OK;
        }
    return RC_NOT_FOUND;
}
