# Watches over the process groups of one SSH connection; reads one order a line:
#   w PGID   a shell: may finish its command for @GRACE@ s after the connection is lost, then it is ended
#   s PGID   a stream: ended at once when the connection is lost
#   k PGID   end it now, and forget it
#   p WORD   a ping: answer WORD
# Without a ping for @SILENCE@ s the connection is given up, for a host behind a dead network learns
# nothing by itself. End of file is the end of the connection.
# One compound command, so that no line of it can be taken for an order.
{
set --
trap '' HUP PIPE INT
w= s= t=

drop() {
    kept=
    for g in $w; do [ "$g" = "$1" ] || kept="$kept $g"; done
    w=$kept kept=
    for g in $s; do [ "$g" = "$1" ] || kept="$kept $g"; done
    s=$kept
}
send() { # of the spellings of kill, dash, bash and busybox agree on this one alone
    signal=$1
    shift
    for g do kill "-$signal" "-$g"; done 2>/dev/null
}
alive() {
    for g do kill -0 "-$g" 2>/dev/null && return 0; done
    return 1
}
end() {
    send TERM "$@"
    i=0
    while alive "$@" && [ $i -lt 20 ]; do sleep 0.1 2>/dev/null || sleep 1; i=$((i + 1)); done
    send KILL "$@"
}
listen() {
    [ @SILENCE@ -gt 0 ] || return 0
    [ -z "$t" ] || kill "$t" 2>/dev/null
    ( trap 'kill $n; exit 0' TERM; sleep @SILENCE@ & n=$!; wait $n; kill "$PPID" ) </dev/null >/dev/null 2>&1 &
    t=$!
}

listen
printf '\036@NONCE@ %s\n' $$
printf '\036@NONCE@\n' >&2
while read -r order value; do
    case $order in
    w) w="$w $value" ;;
    s) s="$s $value" ;;
    k) drop "$value"; ( end "$value" ) </dev/null >/dev/null 2>&1 & ;;
    p) printf '%s\n' "$value"; listen ;;
    esac
done

kill "$t" 2>/dev/null
send TERM $s
i=0
while alive $w && [ $i -lt @GRACE@ ]; do sleep 1; i=$((i + 1)); done
end $w $s
exit 0
}
