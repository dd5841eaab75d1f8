# Print one container's log. Needs lib.sh. First line: `ok`, `none` (no such log), `waits` (not started yet), `later`
# (another first line comes once it starts), or `monitor SINCE`: what follows is the file of podman's monitor (see
# monitor.py), of which records before SINCE are not meant.

# il_logs UID CONTAINER BACK TAIL SINCE TIMESTAMPS FOLLOW ATTEMPT: BACK 1 is the previous attempt; TAIL lines or `all`;
# SINCE is '' or seconds or a time in UTC; TIMESTAMPS and FOLLOW are 1 or ''. ATTEMPT wins over BACK unless it is ''.
il_logs() {
    if [ -f "pods/$1/c/$2.sh" ]; then P=pods/$1
    elif [ -d "kept/$1" ]; then P=kept/$1
    else echo none; return 0; fi
    il_load "$2"
    if [ "$N" -lt 0 ] && [ -n "$7" ] && [ "$3" -eq 0 ]; then il_logs_await "$1" "$2"; return; fi
    N=${8:-$((N - $3))}
    if [ "$N" -lt 0 ]; then if [ "$3" -eq 0 ] && [ -f "$P/c/$2.sh" ]; then echo waits; else echo none; fi; return 0; fi
    since=$5
    case $5 in
        '' | *[!0-9]*) ;;
        *) since=$(date -u -d "@$(($(date +%s) - $5))" +%Y-%m-%dT%H:%M:%S.000000000Z) ;; # to docker, `4` is a second of 1970
    esac
    set -- "$1" "$2" "$3" "$4" "$since" "$6" "$7"
    if [ "$P" = "kept/$1" ]; then il_logs_kept "$P/log/$2-$N" "$4" "$5" "$6"; return; fi
    "$IL_ENGINE" container inspect --format ' ' "il-$1-$2-$N" > /dev/null 2>&1 || { echo none; return 0; }
    name=il-$1-$2-$N
    if [ -n "$7" ]; then il_logs_monitored "$4" "$5"; fi
    echo ok
    if [ -n "$7" ]; then il_logs_follow "$1" "$2" "$4" "$5" "$6"; return; fi
    if [ "$4" = all ]; then tail=; else tail=$4; fi
    set -- ${tail:+--tail "$tail"} ${5:+--since "$5"} ${6:+--timestamps}
    exec "$IL_ENGINE" logs "$@" "$name" 2>&1
}

# il_logs_monitored TAIL SINCE: follow podman's own file of this log, and exit, if there is one and GNU's tail, which
# ends with the monitor. `podman logs --follow` leaves lines out at a container's end: its reader, told to stop, lets
# chance decide about each line that is left (podman 4.3, and nxadm/tail as podman 5 has it).
il_logs_monitored() {
    if [ "$IL_ENGINE" != podman ] || ! tail --version > /dev/null 2>&1; then return 0; fi
    found=$(podman container inspect --format '{{.HostConfig.LogConfig.Type}}|{{.State.ConmonPid}}|{{.HostConfig.LogConfig.Path}}' "$name") || return 0
    monitor=${found#k8s-file|} file=${found#*|*|}
    if [ "$monitor" = "$found" ] || [ ! -r "$file" ]; then return 0; fi
    monitor=${monitor%%|*}
    echo "monitor $2"
    if [ "$1" = all ]; then set -- +1; else set -- "$1"; fi
    if [ "$monitor" -gt 0 ]; then set -- "$1" -f -s 0.3 --pid="$monitor"; fi # else it has ended
    exec tail -n "$@" -- "$file"
}

# il_logs_follow UID CONTAINER TAIL SINCE TIMESTAMPS: follow attempt N, whose name is set. Engines (docker before 23)
# stop following when the container ends, although a slow reader has not had all of it: so it is counted what went out,
# and the rest is read afterwards. For that the same log must be asked for twice, so a number of last lines becomes a time.
il_logs_follow() {
    since=$4
    if [ "$3" = 0 ]; then since=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ); elif [ "$3" != all ]; then
        since=$("$IL_ENGINE" logs --timestamps --tail "$3" ${4:+--since "$4"} "$name" 2>&1 | sed 's/ .*//;q')
        since=${since:-$4}
    fi
    stamps=$5
    set -- "$1" "$2-$N" ${since:+--since "$since"} ${stamps:+--timestamps}
    { told=$(il_logs_counted "$@" 2>&1); } 5>&1
    sent=$(printf '%s\n' "$told" | sed -n 's/^\([0-9]*\) bytes.*/\1/p') code=${told%%[!0-9]*}
    if [ -n "$sent" ] && [ "$code" = 0 ]; then il_logs_rest "$((sent + 1))" "$since" "$stamps" "$@"; fi
    return "${code:-1}"
}

# il_logs_counted UID NAME FLAGS...: follow to fd 5; prints the engine's exit code, then what dd says of the bytes.
il_logs_counted() {
    shift 2
    { { "$IL_ENGINE" logs --follow "$@" "$name" 2>&1 3>&-; echo "$?" >&3; } | LC_ALL=C dd bs=65536 >&5; } 3>&1
}

# il_logs_rest FROM SINCE TIMESTAMPS UID NAME FLAGS...: what comes from that byte on, of a log that is written no more.
il_logs_rest() {
    from=$1 since=$2 stamps=$3 kept=kept/$4/log/$5
    shift 5
    if [ -f "$kept.cut" ]; then return 0; fi # only its end was kept: nobody knows which byte is which
    if [ -f "$kept" ]; then il_logs_kept "$kept" all "$since" "$stamps" | sed 1d
    elif il_logs_over; then "$IL_ENGINE" logs "$@" "$name" 2>&1
    fi | tail -c "+$from"
}

# il_logs_over: the container has ended; the engine may say so a moment after the follower's end.
il_logs_over() {
    tries=0
    while [ "$tries" -lt 20 ]; do
        case $("$IL_ENGINE" container inspect --format '{{.State.Running}}' "$name" 2> /dev/null) in
            false) return 0 ;;
            true) tries=$((tries + 1)); sleep 0.3 ;;
            *) return 1 ;;
        esac
    done
    return 1
}

# il_logs_await UID CONTAINER: follow from its start, if it ever starts.
il_logs_await() {
    echo later
    while [ "$N" -lt 0 ] && il_pod "$1" && il_load_pod && [ -z "$DONE$OVER" ]; do
        sleep 0.3
        il_load "$2"
    done
    if [ "$N" -lt 0 ] || [ ! -d "pods/$1" ]; then return 0; fi
    name=il-$1-$2-$N
    il_logs_monitored all ""
    echo ok
    il_logs_follow "$1" "$2" all "" ""
}

# il_logs_kept FILE TAIL SINCE TIMESTAMPS: lines of a kept log begin with their time.
il_logs_kept() {
    if [ ! -f "$1" ]; then echo none; return 0; fi
    echo ok
    if [ -z "$3" ]; then cat "$1"; else awk -v since="$3" '$1 >= since' "$1"; fi | if [ "$2" = all ]; then cat; else tail -n "$2"; fi | if [ -n "$4" ]; then cat; else sed 's/^[^ ]* //'; fi
}
