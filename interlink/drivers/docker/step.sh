# One step of a pod: look at what is recorded and at what the engine says, and do what is due.
# Idempotent; cheap when nothing is due. Needs lib.sh. Return: 0 fine, 3 the engine does not answer.

# il_step UID [NOW]
il_step() {
    if [ -e "gone/$1" ]; then return 0; fi
    il_lock "$1" || return 1
    if [ -e "gone/$1" ] || ! il_pod "$1"; then return 0; fi
    if [ -n "$IL_CARE" ]; then . "./$IL_BIN/care.sh"; fi
    if [ -n "${2:-}" ]; then NOW=$2; else il_now; fi # starting `date` takes as long as all that is recorded here
    AGAIN=0
    il_load_pod
    if [ -n "$DONE" ]; then il_rest; return 0; fi
    # before anything is launched: an end during this very step must bring the supervisor
    if [ -n "$IL_SUPERVISED" ] && [ ! -e "live/$U" ]; then : > "live/$U"; fi
    il_observe || return 3
    il_decide
    code=$?
    if [ "$code" -eq 0 ]; then il_rest; fi
    return "$code"
}

# il_rest: tell the supervisor when to come back, or that this pod needs it no more.
il_rest() {
    if [ -n "$IL_CARE" ] && [ -z "$DONE" ]; then il_due $((NOW + 60)); fi # who looks after a container may be lost
    if [ -n "$DONE" ]; then rm -f "live/$U" "due/$U"
    elif [ "$SOON" -gt 0 ]; then
        printf '%s\n' "$SOON" > "due/$U"
        [ -e "live/$U" ] || : > "live/$U"
        il_supervise
    else
        if [ -e "due/$U" ]; then rm -f "due/$U"; fi
        if [ -n "$IL_SUPERVISED" ]; then il_supervise; fi
    fi
}

# il_observe: record the ends that the engine tells of, and those of containers that it knows no more.
il_observe() {
    names=
    for c in $IL_ALL; do
        il_load "$c"
        if [ "$N" -ge 0 ] && [ -z "$RC" ]; then names="$names il-$U-$c-$N"; fi
    done
    if [ -z "$names" ]; then return 0; fi
    il_ask $names || return 3
    seen=' '
    while read -r name status code began ended id error; do
        if [ -z "$name" ]; then continue; fi
        name=${name#/} c=${name#il-"$U"-}
        c=${c%-*} seen="$seen$name "
        il_load "$c"
        il_observed "$c"
    done << EOF
$OUT
EOF
    for name in $names; do
        case $seen in *" $name "*) continue ;; esac
        c=${name#il-"$U"-} c=${c%-*}
        il_load "$c"
        il_ended 137 ContainerStatusUnknown '' ''
        il_save "$c" && il_event Warning Failed "$c" "container $name is gone"
    done
}

# il_observed CONTAINER: its record is loaded; name, status, code, began, ended, id, error are the engine's.
il_observed() {
    case $status in
        running | paused | restarting | stopping)
            if [ "$ID" != "$id" ]; then ID=$id; il_save "$1"; fi ;;
        created | configured | initialized)
            # its process never ran, whatever the error: a launch that was cut, or a start that failed
            if (il_before_start; exec "$IL_ENGINE" start "$name") > /dev/null 2> "$P/state/.err"; then
                ID=$id; il_save "$1"
            else
                ID=$id; il_ended 128 StartError '' ''; il_save "$1"; il_poke
            fi ;;
        *)
            ID=$id; il_ended "$code" '' "$began" "$ended"; il_save "$1" ;;
    esac
}

# il_decide: deadline, sandbox, inits and sidecars in order, mains in order, the end.
il_decide() {
    if [ -n "$IL_DEADLINE" ] && [ -z "$OVER" ]; then
        if [ "$NOW" -ge $((STARTED + IL_DEADLINE)) ]; then il_over DeadlineExceeded; else il_due $((STARTED + IL_DEADLINE)); fi
    fi
    if [ -n "$OVER" ]; then il_finish; return; fi
    il_sandbox || return
    if [ -n "$OVER" ]; then il_finish; return; fi
    if [ -n "$HOLD" ]; then return 0; fi
    for c in $IL_INITS; do
        il_init "$c" || return
        if [ -n "$OVER" ]; then il_finish; return; fi
        if [ -n "$HOLD" ]; then return 0; fi
    done
    il_mains || return
    if [ -n "$OVER" ]; then il_finish; fi
}

il_over() { OVER=1 REASON=$1; il_save_pod && il_poke; }

# il_sandbox: have the pause container; SANDBOX = its number. HOLD: nothing else can go on yet.
il_sandbox() {
    HOLD= SANDBOX=0
    if [ -z "$IL_PAUSE" ]; then return 0; fi
    il_load _pause
    if [ -n "$RC" ]; then
        # the network of the pod is gone: whatever still runs in it must end first
        if il_stop_all $IL_MAINS $IL_INITS; then HOLD=1; return 0; fi
        if il_lasting; then il_over ''; return 0; fi
    fi
    il_advance _pause Always || return
    SANDBOX=$N
    if [ "$R" != running ]; then HOLD=1; return 0; fi
    if [ -n "$IL_NEEDS_IP" ]; then il_address; fi
    if [ -n "$IL_HOSTS" ] && [ ! -f "$P/hosts" ]; then il_hosts > "$P/hosts" && chmod 644 "$P/hosts"; fi
    IL_SANDBOX=il-$U-_pause-$N
}

# il_lasting: no container would be started in a new sandbox.
il_lasting() {
    for c in $IL_MAINS; do
        il_load "$c"
        case $IL_POLICY:$RC in Never:*) if [ "$N" -ge 0 ]; then return 0; fi ;; OnFailure:0) ;; *) return 1 ;; esac
    done
    if [ "$IL_POLICY" = OnFailure ]; then return 0; fi
    for c in $IL_INITS; do il_load "$c"; if [ "$N" -ge 0 ]; then return 0; fi; done
    return 1
}

# il_address: IL_POD_IP of the sandbox, asked once per sandbox.
il_address() {
    case $IP in "$N:"?*) ;; *)
        IP=$N:$("$IL_ENGINE" container inspect --format '{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}' "il-$U-_pause-$N")
        IP=${IP%% *}
        rm -f "$P/hosts"
        il_save_pod ;;
    esac
    IL_POD_IP=${IP#*:}
}

# il_init CONTAINER: an init container must have ended with 0, a sidecar must have been started.
il_init() {
    case " $IL_SIDECARS " in
        *" $1 "*)
            il_advance "$1" Always || return
            case $R in
                running) ;;
                hooked | starting) il_initialized || HOLD=1 ;;
                *) if [ "$SB" -ne "$SANDBOX" ]; then HOLD=1; fi ;;
            esac ;;
        *)
            if [ "$IL_POLICY" = Never ]; then il_advance "$1" Never || return; else il_advance "$1" OnFailure || return; fi
            if [ "$R" != ended ]; then HOLD=1; elif [ "$RC" -ne 0 ]; then il_over ''; fi ;;
    esac
}

# il_initialized: a main container has been started in this sandbox.
il_initialized() {
    for c in $IL_MAINS; do il_load "$c"; if [ "$SB" -eq "$SANDBOX" ]; then return 0; fi; done
    return 1
}

# il_mains: start them in order; one whose image is being pulled, or whose postStart goes on, delays the next,
# as in Kubernetes.
il_mains() {
    left=
    for c in $IL_MAINS; do
        il_advance "$c" "$IL_POLICY" || return
        case $R in ended) ;; pulling | hooked) left=1; break ;; *) left=1 ;; esac
    done
    if [ -z "$left" ]; then il_over ''; fi
}

# il_advance CONTAINER POLICY: R = running | hooked | starting | ended (for good) | waiting | pulling.
il_advance() {
    il_load "$1"
    if [ "$N" -ge 0 ] && [ -z "$RC" ]; then
        R=running
        if [ -n "$IL_CARE" ]; then il_tend "$1"; fi
        return 0
    fi
    if [ -n "$RC" ] && { [ "$SB" -eq "$SANDBOX" ] || [ "$1" = _pause ]; }; then
        case $2:$RC in Never:* | OnFailure:0) R=ended; return 0 ;; esac
        if [ "$DUE" -gt "$NOW" ]; then
            if [ -z "$WAIT" ]; then
                WAIT=CrashLoopBackOff
                il_save "$1"; il_event Warning BackOff "$1" "Back-off restarting failed container $1"
            fi
        fi
    elif [ -n "$RC" ] && [ "$2:$RC" = OnFailure:0 ]; then
        case " $IL_MAINS " in *" $1 "*) R=ended; return 0 ;; esac
    fi
    if [ "$WAIT" = Pulling ]; then il_pulled "$1" || return 0; fi
    if [ "$DUE" -gt "$NOW" ]; then
        R=waiting
        if [ "$WAIT" = ErrImagePull ] && [ "$NOW" -ge $((TRIED + 5)) ]; then
            read -r MSG < "$P/state/$1.msg"
            il_wait "$1" ImagePullBackOff "Back-off pulling image: $MSG"
        elif [ "$WAIT" = ErrImagePull ]; then il_due $((TRIED + 5)); fi
        il_due "$DUE"
        return 0
    fi
    il_launch "$1"
}

# il_pulled CONTAINER: take up the result of its pull; fails while there is none. R as in il_advance.
il_pulled() {
    if [ ! -f "$P/state/$1.pull" ]; then
        R=pulling
        if flock -n "locks/pull.$U.$1" true; then [ -f "$P/state/$1.pull" ] || il_pull "$1"; fi
        il_due $((NOW + 10))
        [ -f "$P/state/$1.pull" ] || return 1
    fi
    { read -r result; read -r MSG; } < "$P/state/$1.pull"
    rm -f "$P/state/$1.pull"
    if [ "$result" = ok ]; then
        WAIT= FAILS=0 DUE=0 READY=$((N + 1))
        il_event Normal Pulled "$1" "$MSG"
        return 0
    fi
    FAILS=$((FAILS + 1)) TRIED=$NOW delay=10 i=1
    while [ "$i" -lt "$FAILS" ] && [ "$delay" -lt 300 ]; do delay=$((delay * 2)) i=$((i + 1)); done
    if [ "$delay" -gt 300 ]; then delay=300; fi
    DUE=$((NOW + delay)) WAIT=
    il_wait "$1" "$result" "$MSG"
}

# il_pull CONTAINER: pull its image in the background; the step after it launches.
il_pull() {
    if [ "$WAIT" != Pulling ]; then
        WAIT=Pulling DUE=0
        printf 'Pulling image "%s"\n' "$IL_IMAGE" > "$P/state/$1.msg"
        il_save "$1"; il_event Normal Pulling "$1" "Pulling image \"$IL_IMAGE\""
    fi
    R=pulling
    il_due $((NOW + 10))
    il_detach sh "$IL_BIN/pull.sh" "$IL_ENGINE" "$IL_SERVER" "$IL_VERSION" "$U" "$1"
}

# il_launch CONTAINER: start its next attempt. Its record is loaded; R as in il_advance.
il_launch() {
    n=$((N + 1)) name=il-$U-$1-$((N + 1)) IL_ATTEMPT=$n R=waiting
    . "./$P/c/$1.sh"
    if [ -z "$IL_VALID" ]; then
        il_retry "$1" InvalidImageName "Failed to apply default image tag \"$IL_IMAGE\": couldn't parse image name \"$IL_IMAGE\": invalid reference format"
        return 0
    fi
    if [ "$IL_PULL" = Always ] && [ "$READY" -ne "$n" ]; then il_pull "$1"; return 0; fi
    if [ -n "$IL_USER" ]; then il_user; fi
    if [ -n "$IL_NONROOT$IL_AS_ROOT" ] && ! il_nonroot "$1"; then return 0; fi
    if ! il_check 2> "$P/state/.err"; then il_error "$P/state/.err"; il_retry "$1" ContainerCreating "$ERR"; return 0; fi
    if [ -e "gone/$U" ]; then return 0; fi
    if [ -n "$IL_VOLUMES" ] && [ ! -f "$P/state/.volumes" ]; then
        if ! il_volumes > /dev/null 2> "$P/state/.err"; then il_refused "$1"; return; fi
        : > "$P/state/.volumes"
    fi
    umask 0
    : > "$P/message/$1-$n"
    umask 077
    # no sig-proxy: a signal that cuts this script must not reach the container
    id=$(il_before_start; il_run "$IL_ENGINE" run -d --sig-proxy=false --pull never --name "$name" 2> "$P/state/.err")
    code=$?
    if [ -e "gone/$U" ]; then "$IL_ENGINE" rm -f -v "$name" > /dev/null 2>&1; return 0; fi
    case $code in
        0) il_launched "$1" "${id##*
}"
            if [ -n "$IL_CARE" ]; then il_tend "$1"; fi ;;
        126 | 127)
            il_launched "$1" "${id##*
}"
            il_ended 128 StartError '' ''
            il_error "$P/state/.err"; printf '%s\n' "$ERR" > "$P/state/$1.msg"
            il_save "$1"; il_event Warning Failed "$1" "Error: $ERR"
            il_advance "$1" "$(il_policy "$1")" ;;
        *) il_refused "$1" "$id" ;;
    esac
}

# il_before_start: podman's monitor of a container would inherit the lock, and hold it as long as the container lives;
# docker's command line ends too soon to collect garbage, which takes a tenth of its time. Call it in a subshell.
il_before_start() { if [ "$IL_ENGINE" = podman ]; then exec 9>&-; else export GOGC=off; fi; }

# il_policy CONTAINER: the restart policy that holds for it.
il_policy() {
    case " $IL_SIDECARS _pause " in *" $1 "*) echo Always; return ;; esac
    case " $IL_INITS :$IL_POLICY" in *" $1 "*:Never) echo Never ;; *" $1 "*) echo OnFailure ;; *) echo "$IL_POLICY" ;; esac
}

il_launched() { # CONTAINER ID
    if [ "$N" -ge 0 ]; then LAST=$RC,$WHY,$BEGAN,$ENDED,$ID; fi
    N=$n ID=$2 AT=$NOW SB=$SANDBOX RC= WHY= BEGAN= ENDED= DUE=0 WAIT= FAILS=0 STOP=0 R=running
    if [ "$1" = _pause ]; then SB=$N; fi
    il_save "$1"
    if [ "$1" = _pause ] && [ -n "$IL_ON_DISK" ]; then "$IL_ENGINE" cp -a=false - "$name:/il/" < "$P/empty.tar" > /dev/null; fi
    if [ "$N" -ge 2 ]; then "$IL_ENGINE" rm -v "il-$U-$1-$((N - 2))" > /dev/null 2>&1; fi
    return 0
}

# il_refused CONTAINER ID: sort out why the engine did not start it.
il_refused() {
    il_error "$P/state/.err"
    case $ERR in
        *'No such image'* | *'image not known'* | *'unable to find image'*)
            if [ "$IL_PULL" = Never ]; then
                il_retry "$1" ErrImageNeverPull "Container image \"$IL_IMAGE\" is not present with pull policy of Never"
            else
                il_pull "$1"
            fi ;;
        *' is already in use by'* | *'name is in use'*)
            # launched by a step that was cut before it could record it; or that was cut so early that the
            # engine still takes its container back: then the name is free in a moment
            il_ask "$name" || return 3
            if [ -z "$OUT" ]; then
                AGAIN=$((AGAIN + 1))
                if [ "$AGAIN" -gt 20 ]; then il_retry "$1" CreateContainerError "$ERR"; return 0; fi
                sleep 0.3
                il_launch "$1"
                return
            fi
            il_launched "$1" ''
            il_observe || return 3
            il_load "$1"
            if [ -n "$RC" ]; then R=waiting; il_due $((NOW + 1)); elif [ -n "$IL_CARE" ]; then il_tend "$1"; fi ;;
        *'invalid reference format'* | *'invalid image name'* | *'invalid repository name'*)
            il_retry "$1" InvalidImageName "Failed to apply default image tag \"$IL_IMAGE\": couldn't parse image name: $ERR" ;;
        *'annot connect to'* | *'rror during connect'* | *'onnection refused'* | *'ermission denied while trying to connect'*) return 3 ;;
        *)
            "$IL_ENGINE" rm -f -v "$name" > /dev/null 2>&1
            case $1:$ERR in
                _pause:* | *'port is already allocated'* | *'address already in use'*)
                    il_retry "$1" ContainerCreating "Failed to create pod sandbox: $ERR" ;;
                *) il_retry "$1" CreateContainerError "$ERR" ;;
            esac ;;
    esac
}

# il_retry CONTAINER REASON MESSAGE: it waits with this reason, and is tried again with back-off.
il_retry() {
    FAILS=$((FAILS + 1)) R=waiting
    DUE=$((NOW + (FAILS > 30 ? 300 : FAILS * 10)))
    il_due "$DUE"
    il_wait "$1" "$2" "$3"
}

# il_user: IL_USER = the user part of the image's USER, "0" if it has none; remembered for a minute, because
# asking costs as much as a tenth of a launch. Left empty while the image is not there.
il_user() {
    IL_USER= time=0 user= cache=tmp/user.$IL_KEY
    if [ -f "$cache" ]; then read -r time user < "$cache"; fi
    if [ "$time" -lt $((NOW - 60)) ]; then
        user=$("$IL_ENGINE" image inspect --format '{{.Config.User}}' "$IL_IMAGE" 2> /dev/null) || return 0
        user=${user%%:*}
        user=${user:-0}
        printf '%s %s\n' "$NOW" "$user" > "$cache.$U" && mv -f "$cache.$U" "$cache"
    fi
    IL_USER=$user
}

# il_nonroot CONTAINER: runAsNonRoot holds for it: its user must be a number other than 0.
il_nonroot() {
    case $IL_AS_ROOT:$IL_USER in
        1:*) il_retry "$1" CreateContainerConfigError "container's runAsUser breaks non-root policy" ;;
        :) return 0 ;;
        :0 | :root) il_retry "$1" CreateContainerConfigError "container has runAsNonRoot and image will run as root" ;;
        :*[!0-9]*) il_retry "$1" CreateContainerConfigError "container has runAsNonRoot and image has non-numeric user ($IL_USER), cannot verify user is non-root" ;;
        *) return 0 ;;
    esac
    return 1
}

# il_sub_path VOLUME PATH: have this directory in an emptyDir; IL_MOUNTPOINT = the volume's place on the host.
# The engine extracts it, and refuses to go through a symbolic link that a container may have set.
il_sub_path() {
    IL_MOUNTPOINT=$("$IL_ENGINE" volume inspect --format '{{.Mountpoint}}' "il-$U-$1") || return 1
    new=$PWD/tmp/sub.$U.$$
    ( umask 0; mkdir -p "$new/$2" && tar -cf - -C "$new" -- "${2%%/*}" | "$IL_ENGINE" cp -a=false - "$IL_SANDBOX:/il/$1/" > /dev/null )
    code=$?
    rm -rf "$new"
    return "$code"
}

# il_stop_all CONTAINERS...: stop those that run, together; fails if none does.
il_stop_all() {
    names= late= alive=1
    for c in "$@"; do
        il_load "$c"
        if [ "$N" -lt 0 ] || [ -n "$RC" ]; then continue; fi
        alive=0
        if [ "$STOP" -eq 0 ]; then
            STOP=$NOW names="$names il-$U-$c-$N"
            il_save "$c"; il_event Normal Killing "$c" "Stopping container $c"
        elif [ "$NOW" -ge $((STOP + IL_GRACE + 5)) ]; then late="$late il-$U-$c-$N"; fi
    done
    if [ -n "$names" ]; then
        if [ -n "$IL_CARE" ]; then
            il_detach sh "$IL_BIN/care.sh" "$IL_ENGINE" "$IL_SERVER" "$IL_VERSION" "$U" "$IL_GRACE" $names
        else il_detach "$IL_ENGINE" stop -t "$IL_GRACE" $names; fi
        il_due $((NOW + IL_GRACE + 5))
    fi
    if [ -n "$late" ]; then "$IL_ENGINE" kill $late > /dev/null 2>&1; il_due $((NOW + 2)); fi
    if [ "$alive$names$late" = 0 ]; then il_due $((NOW + 2)); fi
    return "$alive"
}

# il_finish: end what still runs: mains and inits together, then sidecars in reverse, then the sandbox.
il_finish() {
    if il_stop_all $IL_MAINS $IL_INITS_ONLY; then return 0; fi
    for c in $IL_SIDECARS_REVERSED; do if il_stop_all "$c"; then return 0; fi; done
    if [ -n "$IL_PAUSE" ]; then
        il_load _pause
        if [ "$N" -ge 0 ] && [ -z "$RC" ]; then "$IL_ENGINE" kill "il-$U-_pause-$N" > /dev/null 2>&1; fi
    fi
    DONE=1
    il_save_pod && il_poke
    if [ -n "$IL_CARE" ]; then il_untend; fi # last: this step may be one of those that it ends
}
