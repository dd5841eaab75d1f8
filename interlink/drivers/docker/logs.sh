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
    if [ "$P" = "kept/$1" ]; then il_logs_kept "$P/log/$2-$N" "$4" "$5" "$6"; return; fi
    "$IL_ENGINE" container inspect --format ' ' "il-$1-$2-$N" > /dev/null 2>&1 || { echo none; return 0; }
    name=il-$1-$2-$N
    if [ "$4" = all ]; then tail=; else tail=$4; fi
    set -- ${tail:+--tail "$tail"} ${5:+--since "$5"} ${6:+--timestamps} ${7:+--follow}
    echo ok
    exec "$IL_ENGINE" logs "$@" "$name" 2>&1
}

# il_logs_await UID CONTAINER: follow from its start, if it ever starts.
il_logs_await() {
    echo ok
    while [ "$N" -lt 0 ] && il_pod "$1" && il_load_pod && [ -z "$DONE$OVER" ]; do
        sleep 0.3
        il_load "$2"
    done
    if [ "$N" -ge 0 ] && [ -d "pods/$1" ]; then exec "$IL_ENGINE" logs --follow "il-$1-$2-$N" 2>&1; fi
}

# il_logs_kept FILE TAIL SINCE TIMESTAMPS: lines of a kept log begin with their time.
il_logs_kept() {
    if [ ! -f "$1" ]; then echo none; return 0; fi
    echo ok
    case $3 in
        '') cat "$1" ;;
        *[!0-9]*) awk -v since="$3" '$1 >= since' "$1" ;;
        *) awk -v since="$(date -u -d "@$(($(date +%s) - $3))" +%Y-%m-%dT%H:%M:%S)" '$1 >= since' "$1" ;;
    esac | if [ "$2" = all ]; then cat; else tail -n "$2"; fi | if [ -n "$4" ]; then cat; else sed 's/^[^ ]* //'; fi
}
