# Probes and hooks: what they do on this host, and how a container is stopped that has a preStop. Needs lib.sh.
# care/<container>.sh of the bundle sets IL_POSTSTART, IL_PRESTOP (1 or ''), IL_STARTUP, IL_READINESS, IL_LIVENESS
# (INITIAL PERIOD TIMEOUT SUCCESS FAILURE [GRACE], or '') and has the functions il_poststart, il_prestop, il_startup, ...
# made of the words below, which act on the container NAME for LIMIT seconds. 0 is good, 3 good with a warning.

# The engine's command line takes a moment of its own, which is not the program's.
IL_EXEC_MARGIN=3

il_exec() { timeout -k 1 "$((LIMIT + IL_EXEC_MARGIN))" "$IL_ENGINE" exec "$NAME" "$@"; }
il_sleep() { timeout "$LIMIT" sleep "$1"; }
il_http() { il_scheme=$1 il_host=${2:-$(il_reach)}; shift 2; il_dial http "$il_scheme" "$il_host" "$@"; }
il_tcp() { il_dial tcp "${1:-$(il_reach)}" "$2"; }
il_grpc() { il_dial grpc "$(il_reach)" "$1" "$2"; }

# il_dial WORDS...: POSIX shells have no sockets; bash has.
il_dial() {
    if ! command -v bash > /dev/null; then echo 'network probes need bash on this host'; return 1; fi
    timeout -k 1 "$LIMIT" bash "$IL_BIN/dial.sh" "$@"
    code=$?
    if [ "$code" -eq 124 ] || [ "$code" -eq 137 ]; then echo "timed out after $LIMIT s"; fi
    return "$code"
}

# il_reach: the address at which the container NAME is reached from its host.
il_reach() {
    sandbox=$NAME
    if [ -n "$IL_PAUSE" ]; then sandbox=il-$U-_pause-$(sed -n 's/^N=//p' "$P/state/_pause"); fi
    address=$("$IL_ENGINE" container inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "$sandbox")
    set -- $address
    echo "${1:-127.0.0.1}"
}

# il_has CONTAINER: it has probes or hooks, and they are loaded now.
il_has() { case " $IL_CARE " in *" $1 "*) . "./$P/care/$1.sh" ;; *) return 1 ;; esac; }

# il_cared CONTAINER ATTEMPT: CARE_HOOKED, CARE_STARTED, CARE_READY, CARE_OVER are what is known of this attempt.
il_cared() {
    CARE_ATTEMPT=-1
    if [ -f "$P/state/$1.care" ]; then . "./$P/state/$1.care"; fi
    if [ "$CARE_ATTEMPT" -ne "$2" ]; then CARE_HOOKED= CARE_STARTED= CARE_READY= CARE_OVER=; fi
}

# il_tend CONTAINER: have its process, which looks after the attempt N that runs now. Its record is loaded.
# R = tended while it must not count as started: postStart or the startup probe goes on.
il_tend() {
    il_has "$1" || return 0
    if [ -z "$IL_TENDED" ]; then return 0; fi
    il_cared "$1" "$N"
    if [ -z "$CARE_OVER" ] && flock -n "locks/tend.$U.$1" true; then
        il_detach sh "$IL_BIN/tend.sh" "$IL_ENGINE" "$IL_SERVER" "$IL_VERSION" "$U" "$1" "$N"
    fi
    if [ -n "$IL_POSTSTART" ] && [ -z "$CARE_HOOKED" ]; then R=hooked
    elif [ -n "$IL_STARTUP" ] && [ -z "$CARE_STARTED" ]; then R=starting; fi
}

# il_untend: end what looks after the pod's containers. The lock is held only by one that lives.
il_untend() {
    for c in $IL_CARE; do
        if [ -s "locks/tend.$U.$c" ] && ! flock -n "locks/tend.$U.$c" true; then
            read -r chief < "locks/tend.$U.$c"
            kill -TERM "-$chief" 2> /dev/null
        fi
        rm -f "locks/tend.$U.$c"
    done
}

# il_stop_gently GRACE NAMES...: each container's preStop within the grace, then TERM with what is left of it.
il_stop_gently() {
    allowed=$1 plain=
    shift
    for name in "$@"; do
        c=${name#il-"$U"-} c=${c%-*}
        IL_PRESTOP=
        if il_has "$c" && [ -n "$IL_PRESTOP" ]; then il_stop_hooked "$allowed" "$name" "$c" & else plain="$plain $name"; fi
    done
    if [ -n "$plain" ]; then "$IL_ENGINE" stop -t "$allowed" $plain > /dev/null; fi
    wait
}

il_stop_hooked() { # GRACE NAME CONTAINER
    il_now
    begun=$NOW LIMIT=$1 NAME=$2 IL_EXEC_MARGIN=0
    said=$(il_prestop 2>&1)
    code=$?
    il_now
    if [ "$code" -ne 0 ]; then
        il_event Warning FailedPreStopHook "$3" "PreStopHook failed: $(printf '%.900s' "$said" | tr '\n\t\r' '   ')"
    fi
    left=$(($1 - (NOW - begun)))
    "$IL_ENGINE" stop -t "$((left > 2 ? left : 2))" "$2" > /dev/null
}

if [ "${0##*/}" = care.sh ]; then # care.sh ENGINE SERVER VERSION UID GRACE NAMES...: stop these, apart from a step
    IL_ENGINE=$1 IL_SERVER=$2 IL_VERSION=$3
    . "./bin/$3/lib.sh"
    il_pod "$4" || exit 0
    shift 4
    il_stop_gently "$@"
fi
