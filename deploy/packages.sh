# Debian packages by what they are for, and a function that installs those that are missing. Sourced by other scripts:
#
#   . deploy/packages.sh
#   need_packages "${PACKAGES_BUILD[@]}" || exit
#
# shellcheck shell=bash disable=SC2034

PACKAGES_BUILD=(gcc libc6-dev cmake ninja-build pkg-config libssl-dev libjansson-dev libsqlite3-dev libinih-dev
    libutf8proc-dev libunistring-dev libbsd-dev libmicrohttpd-dev libwebsockets-dev libuv1-dev libwebsockets-evlib-uv libcurl4-openssl-dev
    libedit-dev)
PACKAGES_SERVE=(nginx python3)
PACKAGES_EXAMPLES=(curl jq openssl python3 python3-websockets python3-cryptography)
PACKAGES_TEST=(clang-14 clang-format-14 libcmocka-dev python3-pytest python3-pytest-xdist python3-pytest-timeout)
PACKAGES_FUZZ=(clang-14 libclang-rt-14-dev libcmocka-dev)

PACKAGES_BENCH=(mosquitto nats-server nginx openssl)
PACKAGES_SERVICES=(nginx mosquitto nats-server) # of these, those that bring a service of their own

PACKAGES_POLICY=/usr/sbin/policy-rc.d

package_is_here()
{
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# While we install, no service may start: policy-rc.d is where Debian asks. One that was there before is put back, also
# when the installation fails or is interrupted; ours, left behind by an installation that was killed, is known by its mark.
packages_policy_set()
{
    ! grep -qs '^# kerb:' "$PACKAGES_POLICY" || packages_policy_restore || return
    [ ! -e "$PACKAGES_POLICY" ] || mv "$PACKAGES_POLICY" "$PACKAGES_POLICY.before-kerb" || return
    printf '#!/bin/sh\n# kerb: no service starts while packages are installed\nexit 101\n' >"$PACKAGES_POLICY" &&
        chmod 755 "$PACKAGES_POLICY"
}

packages_policy_restore()
{
    rm -f "$PACKAGES_POLICY"
    [ ! -e "$PACKAGES_POLICY.before-kerb" ] || mv "$PACKAGES_POLICY.before-kerb" "$PACKAGES_POLICY"
}

packages_disable()
{
    if [ -d /run/systemd/system ]; then
        systemctl disable "$1.service"
    else
        update-rc.d "$1" disable
    fi >/dev/null 2>&1
}

# A freshly installed nginx must not take port 80: neither now (the policy) nor at the next boot (disabled). Nor may any
# other service run that we start ourselves. One that was here before is left as it is.
packages_install()
(
    fresh=()
    for name in "${PACKAGES_SERVICES[@]}"; do
        package_is_here "$name" || fresh+=("$name")
    done
    trap packages_policy_restore EXIT
    trap 'exit 130' INT TERM HUP
    packages_policy_set || exit
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q && apt-get install -q -y --no-install-recommends "$@"
    status=$?
    for name in "${fresh[@]}"; do
        ! package_is_here "$name" || packages_disable "$name"
    done
    exit $status
)

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

# leave_root CHECKOUT COMMAND...: with sudo, root is for the packages only. When the checkout belongs to the user who
# called sudo, starts over as that user; else returns.
leave_root()
{
    if [ "$(id -u)" = 0 ] && [ "${SUDO_UID:-0}" != 0 ] && [ "$(stat -c %u "$1")" = "$SUDO_UID" ]; then
        shift
        exec setpriv --reuid "$SUDO_UID" --regid "$SUDO_GID" --init-groups env HOME="$(getent passwd "$SUDO_UID" | cut -d : -f 6)" \
            "$@"
    fi
}
