# Print one container's log. Needs lib.sh. First line: `ok`, `none` (no such log) or `waits` (not started yet).

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
    echo ok
    if [ -n "$7" ]; then il_logs_follow "$1" "$2" "$4" "$5" "$6"; return; fi
    if [ "$4" = all ]; then tail=; else tail=$4; fi
    set -- ${tail:+--tail "$tail"} ${5:+--since "$5"} ${6:+--timestamps}
    exec "$IL_ENGINE" logs "$@" "$name" 2>&1
}

# il_logs_follow UID CONTAINER TAIL SINCE TIMESTAMPS: follow attempt N. Engines (docker before 23) stop following when
# the container ends, although a slow reader has not had all of it: so it is counted what went out, and the rest is
# read afterwards. For that the same log must be asked for twice, so a number of last lines becomes a time, and a
# number of lines of that very time to leave out.
il_logs_follow() {
    name=il-$1-$2-$N since=$4 skip=0
    if [ "$3" = 0 ]; then since=$(date -u +%Y-%m-%dT%H:%M:%S.%NZ); elif [ "$3" != all ]; then il_logs_since "$3"; fi
    stamps=$5
    set -- "$1" "$2-$N" ${since:+--since "$since"} ${stamps:+--timestamps}
    { told=$(il_logs_counted "$@" 2>&1); } 5>&1
    sent=$(printf '%s\n' "$told" | sed -n 's/^\([0-9]*\) bytes.*/\1/p') code=${told%%[!0-9]*}
    if [ -n "$sent" ] && [ "$code" = 0 ]; then il_logs_rest "$((sent + 1))" "$since" "$stamps" "$@"; fi
    return "${code:-1}"
}

# il_logs_since TAIL: sets `since`, unless there are no lines yet, and `skip`: podman's lines share a time by dozens.
il_logs_since() {
    set -- "$1" "$("$IL_ENGINE" logs --timestamps --tail "$1" ${since:+--since "$since"} "$name" 2>&1 |
        awk 'NR == 1 { t = $1 } $1 == t { n++ } END { print t, n }')"
    if [ "$2" = " " ]; then return 0; fi
    since=$(il_logs_before "${2% *}")
    skip=$("$IL_ENGINE" logs --timestamps --since "$since" "$name" 2>&1 |
        awk -v t="${2% *}" -v n="${2#* }" '$1 == t { all++; next } { exit } END { print all - n }')
}

# il_logs_skip LINES: read so many lines of stdin, and not a byte more.
il_logs_skip() {
    left=$1
    while [ "$left" -gt 0 ] && IFS= read -r _; do left=$((left - 1)); done
}

# il_logs_before TIME: a nanosecond less, as to podman a line of that very time is too old; TIME is the engine's own.
il_logs_before() {
    part=${1##*.} second=${1%.*}
    part=${part%Z}
    if [ "${#part}" -eq 9 ] && [ "$part" != 000000000 ]; then
        part=$((1$part - 1))
        echo "$second.${part#1}Z"
    else
        date -u -d "@$(($(date -u -d "$1" +%s) - 1))" +%Y-%m-%dT%H:%M:%S.999999999Z
    fi
}

# il_logs_counted UID NAME FLAGS...: follow to fd 5; prints the engine's exit code, then what dd says of the bytes.
il_logs_counted() {
    shift 2
    {
        { "$IL_ENGINE" logs --follow "$@" "$name" 2>&1 3>&-; echo "$?" >&3; } |
            { il_logs_skip "$skip"; LC_ALL=C exec dd bs=65536 >&5; }
    } 3>&1
}

# il_logs_rest FROM SINCE TIMESTAMPS UID NAME FLAGS...: what comes from that byte on, of a log that is written no more.
il_logs_rest() {
    from=$1 since=$2 stamps=$3 kept=kept/$4/log/$5
    shift 5
    if [ -f "$kept.cut" ]; then return 0; fi # only its end was kept: nobody knows which byte is which
    if [ -f "$kept" ]; then il_logs_kept "$kept" all "$since" "$stamps" | sed 1d
    elif [ "$("$IL_ENGINE" container inspect --format '{{.State.Running}}' "$name" 2> /dev/null)" = false ]; then
        "$IL_ENGINE" logs "$@" "$name" 2>&1
    fi | { il_logs_skip "$skip"; tail -c "+$from"; }
}

# il_logs_await UID CONTAINER: follow from its start, if it ever starts.
il_logs_await() {
    echo ok
    while [ "$N" -lt 0 ] && il_pod "$1" && il_load_pod && [ -z "$DONE$OVER" ]; do
        sleep 0.3
        il_load "$2"
    done
    if [ "$N" -ge 0 ] && [ -d "pods/$1" ]; then il_logs_follow "$1" "$2" all "" ""; fi
}

# il_logs_kept FILE TAIL SINCE TIMESTAMPS: lines of a kept log begin with their time.
il_logs_kept() {
    if [ ! -f "$1" ]; then echo none; return 0; fi
    echo ok
    if [ -z "$3" ]; then cat "$1"; else awk -v since="$3" '$1 >= since' "$1"; fi | if [ "$2" = all ]; then cat; else tail -n "$2"; fi | if [ -n "$4" ]; then cat; else sed 's/^[^ ]* //'; fi
}
