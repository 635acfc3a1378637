# Debian packages by what they are for, and a function that installs those that are missing. Sourced by other scripts:
#
#   . deploy/packages.sh
#   need_packages "${PACKAGES_BUILD[@]}" || exit
#
# shellcheck shell=bash disable=SC2034

PACKAGES_BUILD=(gcc libc6-dev cmake ninja-build pkg-config libssl-dev libjansson-dev libsqlite3-dev libinih-dev
    libutf8proc-dev libbsd-dev libmicrohttpd-dev libwebsockets-dev libuv1-dev libwebsockets-evlib-uv)
PACKAGES_SERVE=(nginx python3)
PACKAGES_EXAMPLES=(curl jq openssl python3 python3-websockets python3-cryptography)
PACKAGES_TEST=(clang-14 clang-format-14 libcmocka-dev python3-pytest python3-pytest-xdist python3-pytest-timeout)

PACKAGES_POLICY=/usr/sbin/policy-rc.d

package_is_here()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# A freshly installed nginx must not take port 80: neither now (policy-rc.d forbids services to start while we install)
# nor at the next boot (disabled, when it was not here before).
packages_install()
{
    local policy_is_ours=no nginx_was_here=no status

    package_is_here nginx && nginx_was_here=yes
    if [ ! -e "$PACKAGES_POLICY" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$PACKAGES_POLICY" && chmod 755 "$PACKAGES_POLICY" && policy_is_ours=yes
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q && apt-get install -q -y --no-install-recommends "$@"
    status=$?
    [ $policy_is_ours = yes ] && rm -f "$PACKAGES_POLICY"
    if [ $nginx_was_here = no ] && package_is_here nginx; then
        if [ -d /run/systemd/system ]; then
            systemctl disable --now nginx.service
        else
            update-rc.d nginx disable
        fi
    fi >/dev/null 2>&1
    return $status
}

# Installs what is missing of the packages named; says nothing when nothing is. Returns 0, or 3 after a clear sentence.
need_packages()
{
    local name missing=()

    for name in "$@"; do
        package_is_here "$name" || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    if [ "$(id -u)" != 0 ]; then
        printf 'Missing packages, and only root may install them. As root: apt-get install %s\n' "${missing[*]}" >&2
        return 3
    fi
    printf 'Installing: %s\n' "${missing[*]}" >&2
    if ! packages_install "${missing[@]}" >&2; then
        printf 'These packages could not be installed: %s\n' "${missing[*]}" >&2
        return 3
    fi
}
