# Look after one attempt of a container: its postStart, then its probes. tend.sh ENGINE SERVER VERSION UID CONTAINER ATTEMPT
# One process per container that has any, for as long as the attempt lives; a step starts it again if it was lost.
# What it has found out is state/<container>.care: CARE_ATTEMPT, CARE_HOOKED postStart is over, CARE_STARTED, CARE_READY,
# CARE_OVER nothing is left to do. No other record has variables of these names.
IL_ENGINE=$1 IL_SERVER=$2 IL_VERSION=$3
. "./bin/$3/lib.sh"
. "./bin/$3/care.sh"
. "./bin/$3/step.sh"

# il_alive: the attempt that is looked after is the last one, and nobody has recorded its end or deleted the pod.
il_alive() {
    [ ! -e "gone/$U" ] || return 1
    il_load "$C"
    [ "$N" -eq "$TENDED" ] && [ -z "$RC" ]
}

# il_note NAME=VALUE...: add to what has been found out, and let the server know.
il_note() {
    (
        exec 7>&-
        il_lock "$U" && il_alive || exit 0
        il_now
        il_cared "$C" "$TENDED"
        for assignment in "$@"; do eval "CARE_$assignment"; done
        printf '%s\n' "CARE_ATTEMPT=$TENDED" "CARE_HOOKED=$CARE_HOOKED" "CARE_STARTED=$CARE_STARTED" \
            "CARE_READY=$CARE_READY" "CARE_OVER=$CARE_OVER" > "$P/state/.$C.care" &&
            mv -f "$P/state/.$C.care" "$P/state/$C.care" && il_poke
    )
}

# il_noted NAME: what is known of this attempt under that name.
il_noted() {
    il_cared "$C" "$TENDED"
    eval "[ -n \"\$CARE_$1\" ]"
}

# il_said TEXT: SAID = the text on one line.
il_said() { SAID=$(printf '%.900s' "$1" | tr '\n\t\r' '   '); }

# il_runs: the engine says that it runs; a probe that fails because the container has just ended is no failure.
il_runs() { [ "$("$IL_ENGINE" container inspect --format '{{.State.Running}}' "$NAME" 2> /dev/null)" = true ]; }

# il_slow: the engine itself takes a second to say what it knows: that a probe was late says nothing of the program.
il_slow() {
    read -r before rest < /proc/uptime
    il_runs || return 1
    read -r after rest < /proc/uptime
    [ "$((${after%.*} - ${before%.*}))" -ge 1 ]
}

# il_end_it MESSAGE GRACE: stop the container; what follows is the restart policy's business.
il_end_it() {
    il_now
    il_event Normal Killing "$C" "$1"
    il_stop_gently "$2" "$NAME" > /dev/null 2>&1
    il_now
    il_poke
}

# il_advanced: something that the pod has waited for is over.
il_advanced() { ( exec 7>&-; il_step "$U" ); }

il_after_start() {
    said=$(LIMIT=$FOREVER; il_poststart 2>&1)
    code=$?
    if [ "$code" -ne 0 ] && il_alive && il_runs; then
        il_said "$said"
        il_now
        il_event Warning FailedPostStartHook "$C" "PostStartHook failed: $SAID"
        il_end_it FailedPostStartHook "$IL_GRACE"
        il_note HOOKED=1 OVER=1
        return 1
    fi
    il_note HOOKED=1
    il_advanced
}

# il_watch KIND TITLE INITIAL PERIOD TIMEOUT SUCCESS FAILURE GRACE: probe as long as the attempt lives.
# Returns 0 once a startup probe has passed, 1 at the end.
il_watch() {
    kind=$1 title=$2 period=$4 LIMIT=$5 success=$6 failure=$7 grace=${8:-$IL_GRACE} run=0 last= slow=0
    il_now
    wait=$((AT + $3 - NOW))
    if [ "$wait" -gt 0 ]; then sleep "$wait"; fi
    while il_alive; do
        said=$("il_$kind" 2>&1)
        case $? in
            0) result=good ;;
            3) result=good; il_warn "$title probe warning" "$said" ProbeWarning ;;
            124 | 137) result=bad
                il_alive || return 1
                if il_slow && [ "$((slow += 1))" -lt 5 ]; then sleep "$period"; continue; fi
                il_warn "$title probe failed" "command timed out after $LIMIT s" Unhealthy ;;
            *) result=bad
                il_alive && il_runs || return 1
                il_warn "$title probe failed" "$said" Unhealthy ;;
        esac
        slow=0
        if [ "$result" = "$last" ]; then run=$((run + 1)); else run=1; fi
        last=$result
        if [ "$result" = good ] && [ "$run" -ge "$success" ]; then il_passed "$kind" && return 0; fi
        if [ "$result" = bad ] && [ "$run" -ge "$failure" ]; then il_failed "$kind" "$grace" && return 1; fi
        sleep "$period"
    done
    return 1
}

il_warn() { # WHAT TEXT REASON
    il_said "$2"
    il_now
    il_event Warning "$3" "$C" "$1: $SAID"
}

# il_passed KIND: true if this probe has done its work.
il_passed() {
    case $1 in
        startup) il_note STARTED=1; il_advanced; return 0 ;;
        readiness) il_noted READY || il_note READY=1 ;;
    esac
    return 1
}

# il_failed KIND GRACE: true if the container has been stopped for it.
il_failed() {
    if [ "$1" = readiness ]; then
        if il_noted READY; then il_note READY=; fi
        return 1
    fi
    il_end_it "Container $C failed $1 probe, will be restarted" "$2"
    return 0
}

il_pod "$4" || exit 0
C=$5 TENDED=$6 NAME=il-$4-$5-$6 FOREVER=604800
exec 7>> "locks/tend.$U.$C" && flock -n 7 || exit 0
printf '%s\n' "$$" > "locks/tend.$U.$C"
. "./$P/care/$C.sh"
il_alive || exit 0
if [ -n "$IL_POSTSTART" ] && ! il_noted HOOKED; then il_after_start || exit 0; fi
if [ -n "$IL_STARTUP" ] && ! il_noted STARTED; then il_watch startup Startup $IL_STARTUP || exit 0; fi
if [ -n "$IL_READINESS" ]; then il_watch readiness Readiness $IL_READINESS & fi
if [ -n "$IL_LIVENESS" ]; then il_watch liveness Liveness $IL_LIVENESS & fi
if [ -z "$IL_READINESS$IL_LIVENESS" ]; then il_note OVER=1; fi
wait
