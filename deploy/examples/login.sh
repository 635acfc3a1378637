#!/bin/bash
# Logs a user in by the classic profile (docs/PROTOCOL.md, 4.1) with curl, openssl and jq alone, a step at a time: first
# the AS, which knows the password's key, then the TGS, which gives a ticket for a service.
#
#   deploy/examples/login.sh [--url http://127.0.0.1:8080] alice [chat]
#
# Without --url it is $KERB_URL, else http://127.0.0.1:8080.
#
# The password is asked for, or is the first line of standard input. What happens is told on standard error; standard
# output is the TGS's answer, opened: service, service_ticket, client_service_sk (a session key: keep it to yourself).
#
# Meant for learning, on a machine of your own. The password and the key made of it never stand in an argument. But
# `openssl enc` takes a raw key in no other way than -K, and so the two session keys are arguments of openssl for a
# moment: it overwrites them when it has read them, yet somebody on the same machine who looks at the list of processes
# in that instant can see them. Real clients (chat.py beside this file) keep keys in memory.
set -euo pipefail

fail()
{
    printf 'login.sh: %s\n' "$*" >&2
    exit 1
}

usage='usage: login.sh [--url URL] USER [SERVICE]'
url=${KERB_URL:-http://127.0.0.1:8080}
if [ "${1-}" = --url ] && [ -n "${2-}" ]; then
    url=$2
    shift 2
fi
url=${url%/}
case ${1-} in
-h | --help)
    echo "$usage"
    exit 0
    ;;
'' | -*)
    echo "$usage" >&2
    exit 2
    ;;
esac
user=$1 service=${2:-chat}

# --- the classic box: base64( IV[16] || AES-128-CBC(key, IV, text) ) ---
# `openssl enc` gets the key from the options of "$@": -K and hexadecimal, or the password to make it of.

seal() # text on standard input -> box, without a line end
{
    local iv
    iv=$(openssl rand -hex 16)
    {
        # shellcheck disable=SC2001
        printf '%b' "$(sed 's/../\\x&/g' <<<"$iv")"
        openssl enc -aes-128-cbc -iv "$iv" "$@"
    } | openssl base64 -A
}

open() # box on standard input -> text
{
    local box iv
    box=$(cat)
    iv=$(openssl base64 -d -A <<<"$box" | head -c 16 | od -An -v -tx1 | tr -d ' \n')
    openssl base64 -d -A <<<"$box" | tail -c +17 | openssl enc -d -aes-128-cbc -iv "$iv" "$@"
}

# The user's key is the first 16 bytes of SHA-256(password). That is just what `openssl enc` makes of a password with these
# options, and it reads the password from a pipe. (It warns that this is an old way: it is the original protocol's.)
seal_with_password()
{
    seal -md sha256 -nosalt -pass fd:3 3< <(printf '%s\n' "$password") 2>/dev/null
}
open_with_password()
{
    open -md sha256 -nosalt -pass fd:3 3< <(printf '%s\n' "$password") 2>/dev/null
}

# post PATH NAME=VALUE...: a form; values go to curl through pipes. Prints the answer, or tells the error and ends.
post()
{
    local path=$1 field answer status fields=()
    shift
    for field in "$@"; do
        printf -v field '%s=%s' "${field%%=*}" "$(jq -Rr @uri <<<"${field#*=}")"
        fields+=("$field")
    done
    answer=$(IFS='&' && printf '%s' "${fields[*]}" | curl -sS --data @- -w '\n%{http_code}' "$url$path") ||
        fail "no answer from $url: does the realm run there? --url or KERB_URL names another place"
    status=${answer##*$'\n'} answer=${answer%$'\n'*}
    [ "$status" = 200 ] ||
        fail "$path says $status: $(jq -r '"\(.error), \(.message)"' <<<"$answer" 2>/dev/null || echo "$answer")"
    printf '%s' "$answer"
}

now() # classic times are UTC
{
    date -u '+%Y-%m-%d %H:%M:%S'
}

if [ -t 0 ]; then
    IFS= read -rsp "Password of $user: " password
    echo >&2
else
    IFS= read -r password || true
fi
[ -n "$password" ] || fail "no password was given: type it, or put it on the first line of standard input"

# 1. AS: the box proves that we know the key; the stamp in it proves that we know it now.
encrypted=$(jq -cn --arg now "$(now)" '{tgs_name: "tgs", timestamp: $now}' | seal_with_password)
reply=$(post /as/login "login=$user" "encrypted=$encrypted")
reply=$(open_with_password <<<"$reply") || fail "the answer of the AS does not open with this password"
tgt=$(jq -r .tgs_ticket <<<"$reply")
session_key=$(jq -r .session_key <<<"$reply" | openssl base64 -d -A | od -An -v -tx1 | tr -d ' \n')
echo "AS: a ticket-granting ticket for $(jq -r .time_to_live <<<"$reply") s" >&2

# 2. TGS: the authenticator proves that we hold the session key that is sealed inside the ticket.
authenticator=$(jq -cn --arg user "$user" --arg now "$(now)" '{user_name: $user, timestamp: $now}' | seal -K "$session_key")
reply=$(post /tgs "authenticator=$authenticator" "tgs_ticket=$tgt" "service=$service")
reply=$(open -K "$session_key" <<<"$reply") || fail "the answer of the TGS does not open"
echo "TGS: a ticket for $service for $(jq -r .time_to_live <<<"$reply") s" >&2

# 3. The service: see chat.py, which goes on from here.
jq . <<<"$reply"
