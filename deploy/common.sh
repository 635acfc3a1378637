# What up and down share: sentences, exit codes, kerb.conf, ports, process ids. Sourced by them.
#
# shellcheck shell=bash disable=SC2034

# Exit codes; `up --help` explains them.
EXIT_FAILED=1 EXIT_USAGE=2 EXIT_PACKAGES=3 EXIT_STATE=4 EXIT_PORT=5 EXIT_RUNNING=6 EXIT_USERS=7

PARTS=(as tgs chat nginx) # what is started; names of logs and of pid files

say()
{
    printf 'kerb: %s\n' "$*"
}

# die CODE SENTENCE...
die()
{
    local code=$1
    shift
    printf 'kerb: %s\n' "$*" >&2
    exit "$code"
}

# --- kerb.conf: the value of a key, or nothing; and a key set in place, the rest of the file kept ---

# conf_get FILE SECTION KEY
conf_get()
{
    awk -v section="[$2]" -v key="$3" '
        /^[ \t]*\[/ { gsub(/[ \t]/, ""); here = ($0 == section); next }
        here && match($0, "^[ \t]*" key "[ \t]*=[ \t]*") { $0 = substr($0, RLENGTH + 1); sub(/[ \t]+$/, ""); print; exit }
    ' "$1"
}

# conf_set FILE SECTION KEY VALUE
conf_set()
{
    local new=$1.new
    awk -v section="[$2]" -v key="$3" -v value="$4" '
        function put() { if (!done) print key " = " value; done = 1 }
        /^[ \t]*\[/ {
            if (here) put()
            name = $0; gsub(/[ \t]/, "", name); here = (name == section)
            print
            next
        }
        here && $0 ~ "^[ \t]*" key "[ \t]*=" { put(); next }
        { print }
        END { if (!done) { if (!here) print "\n" section; put() } }
    ' "$1" >"$new"
    mv -f "$new" "$1"
}

# --- TCP ports of this machine ---

# Nobody listens on the port, at any address.
port_is_free()
{
    local hex
    printf -v hex '%04X' "$1"
    ! awk -v port=":$hex" '$4 == "0A" && substr($2, length($2) - 4) == port { found = 1 } END { exit !found }' \
        /proc/net/tcp[6]* /proc/net/tcp
}

# next_free_port FROM TAKEN...: the first free one from FROM that is not among the others
next_free_port()
{
    local port=$1
    shift
    while [[ " $* " == *" $port "* ]] || ! port_is_free "$port"; do
        port=$((port + 1))
        [ $port -le 65535 ] || return 1
    done
    echo $port
}

# --- process ids: a number alone may be somebody else's by now, so its start time stands beside it (supervise
# writes both) ---

# Clock ticks from boot to the start of a process; fails when there is none.
pid_started()
{
    local stat
    { read -r stat </proc/"$1"/stat; } 2>/dev/null || return 1
    stat=${stat##*) }
    # shellcheck disable=SC2086
    set -- $stat
    [ "$1" != Z ] || return 1 # state: a zombie has ended
    echo "${20}"
}

# Prints the process id of a pid file when that very process still runs.
pid_read()
{
    local pid started
    { read -r pid started <"$1"; } 2>/dev/null || return 1
    [ -n "$started" ] && [ "$(pid_started "$pid")" = "$started" ] || return 1
    echo "$pid"
}

# pid_gone FILE SECONDS: waits until it has ended; fails when it has not
pid_gone()
{
    local end=$((SECONDS + $2))
    while pid_read "$1" >/dev/null; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.05 || true
    done
    return 0
}

# session_rest PID LOCK: processes of the session that PID led, if they hold our lock open (all that we start do). Those
# that end while we look are no error.
session_rest()
{
    local pid
    for pid in $(find -L /proc/[0-9]*/fd -maxdepth 1 -samefile "$2" 2>/dev/null | cut -d / -f 3 | sort -u); do
        sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null |
            awk -v pid="$pid" -v led="$1" '$4 == led && pid != led { print pid }' || true
    done
}

# pid_stop FILE...: ends what the pid files name, all at once; politely, after 20 s by force. Says so when force was needed.
# Each leads a session of its own: children that outlived a killed leader (nginx's workers) are ended with it.
pid_stop()
{
    local file pid rest i end=$((SECONDS + 20))
    for file in "$@"; do
        pid=$(pid_read "$file") && kill -TERM "$pid" 2>/dev/null || true
    done
    for file in "$@"; do
        if ! pid_gone "$file" $((end - SECONDS)) && pid=$(pid_read "$file"); then
            say "$(basename "$file" .pid) did not stop within 20 s and was killed" >&2
            kill -KILL "$pid" 2>/dev/null || true
            pid_gone "$file" 5 || true
        fi
        { read -r pid _ <"$file"; } 2>/dev/null || continue
        for ((i = 0; i < 100; i++)); do
            rest=$(session_rest "$pid" "$(dirname "$file")/lock")
            [ -n "$rest" ] || break
            # shellcheck disable=SC2086
            kill -KILL $rest 2>/dev/null || true
            sleep 0.05 || true
        done
        rm -f "$file"
    done
}

# The port of a daemon's `listen` in kerb.conf. listen_port FILE as|tgs|chat
listen_port()
{
    local listen
    listen=$(conf_get "$1" "$2" listen)
    echo "${listen##*:}"
}
