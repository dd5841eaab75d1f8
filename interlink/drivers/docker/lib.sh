# What all scripts of this driver share on a host: state files, the engine's answers, the feed.
# POSIX sh (dash, busybox ash, bash). They run in <root>/<server id>, where the layout is:
#   bin/<version>/*.sh   these scripts       engine, hostip    what `prepare` found out
#   pods/<uid>/          one bundle: plan.sh, skeleton.json, c/<container>.sh, care/<container>.sh, env/, environ/, vol/, pull/, state/
#   gone/<uid>           tombstone: deleted, never to be launched (again)
#   kept/<uid>/          final status and last logs of a deleted pod
#   live/<uid>           the supervisor steps this pod when a container of it ends
#   due/<uid>            ... and at this time, in seconds since 1970
#   locks/<uid>          flock: one step per pod at a time; inherited by the engine's command line
#   feed                 what the engine does not tell: uid, time, type, reason, container, message
# Nothing recorded in state/ is ever started again; names il-<uid>-<container>-<attempt> are the claim.

umask 077
export LC_ALL=C
IL_BIN=bin/$IL_VERSION
IL_FACTS='{{.Name}} {{.State.Status}} {{.State.ExitCode}} {{json .State.StartedAt}} {{json .State.FinishedAt}} {{.Id}} {{.State.Error}}'

# the dialects: a container's id in --format, the names of its end and its removal, the pod's uid in an event
case ${IL_ENGINE:-} in
    podman) IL_ID_FIELD=.ID IL_DIE=died IL_GO=remove IL_VERB=.Status IL_EVENT_UID='{{index .Attributes "interlink.eu/uid"}}' ;;
    *) IL_ID_FIELD=.Id IL_DIE=die IL_GO=destroy IL_VERB=.Action IL_EVENT_UID='{{index .Actor.Attributes "interlink.eu/uid"}}' ;;
esac
IL_EVENT='{{if eq (print '$IL_VERB') "start"}}+{{else}}-{{end}} '$IL_EVENT_UID
IL_SHOW='C {"id":{{json '$IL_ID_FIELD'}},"name":{{json .Name}},"image":{{json .Image}},"state":{{json .State}},"created":{{json .Created}},"labels":{{json .Config.Labels}},"network":{{json .NetworkSettings}}}'

il_now() { NOW=$(date +%s); }

# il_pod UID: make this pod the current one; fails if there is no bundle.
il_pod() {
    U=$1 P=pods/$1 SOON=0 IL_POD=$PWD/pods/$1 IL_MOUNTPOINT= IL_POD_IP= IL_HOST_IP= IL_CARE=
    if [ -f hostip ]; then read -r IL_HOST_IP < hostip; fi
    [ -f "$P/plan.sh" ] && . "./$P/plan.sh"
}

il_lock() { # UID: hold the pod's lock on descriptor 9 for the rest of this process
    exec 9>> "locks/$1" && flock 9
}

# il_event TYPE REASON CONTAINER MESSAGE: tell watchers of the current pod; one short atomic line.
il_event() { printf '%s\t%s\t%s\t%s\t%s\t%.900s\n' "$U" "$NOW" "$1" "$2" "$3" "$4" >> feed; }

il_poke() { printf '%s\t%s\t-\t\t\t\n' "$U" "$NOW" >> feed; }

# il_load CONTAINER: read its record. N last attempt, ID engine's id, AT launched, SB sandbox it belongs to,
# RC exit code ('' = not known to have ended), WHY reason of the end, BEGAN/ENDED engine's times, BACK next
# back-off in seconds, DUE not to be tried before, WAIT reason of waiting, READY attempt whose image is pulled,
# FAILS failed pulls in a row, TRIED last failed pull, STOP when it was told to stop,
# LAST how the attempt before ended: code, reason, times, id, between commas.
il_load() {
    N=-1 ID= AT=0 SB=-1 RC= WHY= BEGAN= ENDED= BACK=0 DUE=0 WAIT= READY=-1 FAILS=0 TRIED=0 STOP=0 LAST=
    if [ -f "$P/state/$1" ]; then . "./$P/state/$1"; fi
}

il_save() {
    printf '%s\n' "N=$N" "ID=$ID" "AT=$AT" "SB=$SB" "RC=$RC" "WHY=$WHY" "BEGAN=$BEGAN" "ENDED=$ENDED" "BACK=$BACK" \
        "DUE=$DUE" "WAIT=$WAIT" "READY=$READY" "FAILS=$FAILS" "TRIED=$TRIED" "STOP=$STOP" "LAST=$LAST" > "$P/state/.$1" &&
        mv -f "$P/state/.$1" "$P/state/$1" && return 0
    il_due $((NOW + 10)) # a full disk: what is not recorded will be found out again
    return 1
}

# The pod's own record: OVER nothing is started any more, REASON the pod's own reason, DONE all has ended.
il_load_pod() {
    STARTED=0 OVER= REASON= DONE= IP=
    if [ -f "$P/state/.pod" ]; then . "./$P/state/.pod"; fi
    return 0
}

il_save_pod() {
    printf '%s\n' "STARTED=$STARTED" "OVER=$OVER" "REASON=$REASON" "DONE=$DONE" "IP=$IP" > "$P/state/..pod" &&
        mv -f "$P/state/..pod" "$P/state/.pod"
}

# il_wait CONTAINER REASON MESSAGE: record why it waits; says so once.
il_wait() {
    if [ "$WAIT" != "$2" ]; then
        case $2:$3 in
            ContainerCreating:'Failed to create pod sandbox'*) il_event Warning FailedCreatePodSandBox '' "$3" ;;
            ContainerCreating:*) il_event Warning FailedMount '' "$3" ;;
            InvalidImageName:*) il_event Warning InspectFailed "$1" "$3"; il_event Warning Failed "$1" "Error: $2" ;;
            ErrImageNeverPull:*) il_event Warning "$2" "$1" "$3"; il_event Warning Failed "$1" "Error: $2" ;;
            CreateContainerConfigError:*) # a kubelet has the image before it looks at this
                if [ "$READY" -ne $((N + 1)) ]; then
                    il_event Normal Pulled "$1" "Container image \"$IL_IMAGE\" already present on machine"
                fi
                il_event Warning Failed "$1" "Error: $3" ;;
            *) il_event Warning Failed "$1" "$2: $3" ;;
        esac
    fi
    WAIT=$2
    printf '%s\n' "$3" > "$P/state/$1.msg" && il_save "$1"
}

# il_due TIME: the supervisor must come back by then.
il_due() { if [ "$SOON" -eq 0 ] || [ "$1" -lt "$SOON" ]; then SOON=$1; fi; }

# il_ended CODE REASON BEGAN ENDED: the attempt that is loaded has ended; fix its back-off.
# At once, then 10 s doubling to 300 s, and from the beginning after ten minutes of running.
il_ended() {
    RC=$1 WHY=$2 BEGAN=$3 ENDED=$4
    if [ $((NOW - AT)) -ge 600 ]; then BACK=0; fi
    DUE=$((NOW + BACK)) BACK=$((BACK == 0 ? 10 : BACK * 2))
    if [ "$BACK" -gt 300 ]; then BACK=300; fi
}

# il_error FILE: ERR = the message in it, the engine's own chatter left out.
il_error() {
    ERR=
    while IFS= read -r line; do
        case $line in '' | "Run '"* | "See '"*) ;; *) ERR="${ERR:+$ERR }$line" ;; esac
    done < "$1"
    ERR=${ERR#docker: } ERR=${ERR#Error response from daemon: } ERR=${ERR#Error: }
}

# il_ask NAMES...: OUT = one line of facts for each that exists; fails if the engine does not answer.
il_ask() {
    OUT=$("$IL_ENGINE" container inspect --format "$IL_FACTS" "$@" 2> "$P/state/.err") && return 0
    while IFS= read -r line; do
        case $line in '' | *[Nn]'o such '* | *'no container with '*) ;; *) return 3 ;; esac
    done < "$P/state/.err"
}

# il_quote_logs BUNDLE: the end of a failed container's log is its message, if it left none and asked for that.
il_quote_logs() {
    if [ ! -f "$1/fallback" ]; then return 0; fi
    read -r quoting < "$1/fallback"
    for file in "$1"/message/*; do
        attempt=${file##*/}
        case " $quoting " in *" ${attempt%-*} "*) ;; *) continue ;; esac
        if [ -s "$file" ]; then continue; fi
        ended=$("$IL_ENGINE" container inspect --format '{{.State.Status}} {{.State.ExitCode}}' "il-${1##*/}-$attempt" 2> /dev/null)
        case $ended in
            'exited 0' | 'stopped 0') ;;
            exited* | stopped*) "$IL_ENGINE" logs --tail 80 "il-${1##*/}-$attempt" 2>&1 | tail -c 2048 > "$file" ;;
        esac
    done
}

# il_full: there is no room left for as much as a page.
il_full() {
    if head -c 8192 /dev/zero > "tmp/room.$$" 2> /dev/null; then full=1; else full=0; fi
    rm -f "tmp/room.$$"
    return "$full"
}

# il_detach COMMAND...: run it apart from this session, without the pod's lock.
il_detach() { setsid "$@" < /dev/null > /dev/null 2>&1 9>&- 8>&- 7>&- & }

# il_open_to_group BUNDLE DIRECTORY: with an fsGroup, all containers of the pod may read its volumes' files.
# Only root can give files to a group; others open them to all, which in a 0700 directory means the pod.
il_open_to_group() {
    if [ ! -d "$2" ] || ! grep -q '^IL_GROUP=[0-9]' "$1/plan.sh"; then return 0; fi
    read -r group << EOF
$(sed -n 's/^IL_GROUP=//p' "$1/plan.sh")
EOF
    chmod -R g+rX "$2"
    if [ "$(id -u)" -eq 0 ]; then chgrp -R "$group" "$2"; else chmod -R o+rX "$2"; fi
}

# il_lives PID: it is a process, and not one that has ended and waits to be reaped.
il_lives() {
    state=Z
    if [ -n "$1" ] && [ -r "/proc/$1/stat" ]; then { read -r pid name state rest < "/proc/$1/stat"; } 2> /dev/null; fi
    [ "$state" != Z ]
}

# il_supervise: have a supervisor of our version running (cheap if it is).
il_supervise() {
    chief= version=
    if [ -f supervisor ]; then read -r chief version < supervisor; fi
    if [ "$version" = "$IL_VERSION" ] && il_lives "$chief"; then return 0; fi
    il_detach sh "$IL_BIN/supervisor.sh" "$IL_ENGINE" "$IL_SERVER" "$IL_VERSION"
}
