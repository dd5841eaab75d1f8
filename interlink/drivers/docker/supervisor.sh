# The one supervisor per user, host and server id: supervisor.sh ENGINE SERVER VERSION
# Reads one stream of engine events and a clock, and steps the pods that asked for it (live/, due/).
# A few workers, each pod always with the same one; survives a restart of the engine.
IL_ENGINE=$1 IL_SERVER=$2 IL_VERSION=$3
. "./bin/$3/lib.sh"
. "./bin/$3/step.sh"

# one at a time: of our own version whoever came first, of another version the new one
exec 7>> locks/.supervisor
signal=TERM tries=0
while ! flock -n 7; do
    tries=$((tries + 1)) chief= version=
    if [ "$tries" -gt 10 ]; then signal=KILL; fi
    if [ "$tries" -gt 50 ]; then exit 1; fi
    if [ -f supervisor ]; then read -r chief version < supervisor; fi
    if [ "$version" = "$IL_VERSION" ] && il_lives "$chief"; then exit 0; fi
    if [ -n "$chief" ]; then kill "-$signal" "-$chief" 2> /dev/null; fi
    sleep 0.2
done
printf '%s %s\n' "$$" "$IL_VERSION" > .supervisor && mv -f .supervisor supervisor
inbox=tmp/inbox.$$
mkfifo "$inbox" "$inbox.0" "$inbox.1" "$inbox.2" "$inbox.3"
exec 3<> "$inbox" 9> "$inbox" 4<> "$inbox.0" 5<> "$inbox.1" 6<> "$inbox.2" 8<> "$inbox.3"
rm -f "$inbox" "$inbox".?
if [ "$(wc -c < feed)" -gt 1000000 ]; then : > feed; fi

# `exec` closes for good, where a redirection of a function would keep a copy in the shell: the lock and the
# inbox must die with the main process
alone() { exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; }
worker() { alone; while read -r uid; do ( il_step "$uid" ); done; }
# events: `- UID` per event, `scan` whenever some may have been missed
events() {
    alone
    wait=1
    while :; do
        since=$(date +%s)
        if "$IL_ENGINE" ps -q --filter name=il-none > /dev/null 2>&1; then wait=1; echo scan; fi
        "$IL_ENGINE" events --since "$since" --filter "label=interlink.eu/server=$IL_SERVER" --filter type=container \
            --filter "event=$IL_DIE" --filter "event=$IL_GO" --format "- $IL_EVENT_UID" 2> /dev/null
        sleep "$wait"
        wait=$((wait < 8 ? wait * 2 : 8))
    done
}
# a clock that ticks only while something is due; when nobody reads it any more (the main process was
# killed), it ends what is left of this process group
clock() {
    alone
    trap '' PIPE
    beat=0
    while sleep 1; do
        for file in due/*; do if [ -e "$file" ]; then echo "tick $(date +%s)"; fi; break; done
        beat=$((beat + 1))
        if [ "$beat" -ge 5 ]; then beat=0; echo beat || kill -KILL 0; fi
    done
}
worker <&4 &
worker <&5 &
worker <&6 &
worker <&8 &
events >&9 2> /dev/null &
clock >&9 2> /dev/null &
exec 9>&-

# give UID: hand it to its worker, unless it needs no step
give() {
    if [ ! -e "live/$1" ]; then return 0; fi
    case $1 in
        *[048c]) echo "$1" >&4 ;;
        *[159d]) echo "$1" >&5 ;;
        *[26ae]) echo "$1" >&6 ;;
        *) echo "$1" >&8 ;;
    esac
}

IL_IDLE=120 # beats of five seconds
# retire: nothing has needed us for that long; whoever needs us starts us again
retire() {
    for file in live/* due/*; do if [ -e "$file" ]; then idle=0; return 0; fi; done
    idle=$((idle + 1))
    if [ "$idle" -lt "$IL_IDLE" ]; then return 0; fi
    rm -f supervisor
    for file in live/*; do
        if [ -e "$file" ]; then printf '%s %s\n' "$$" "$IL_VERSION" > supervisor; idle=0; return 0; fi
    done
    kill -TERM "-$$"
}

idle=0
while read -r what value <&3; do
    case $what in
        beat) retire ;;
        -) give "$value" ;;
        scan) for file in live/*; do give "${file#live/}"; done ;;
        tick)
            for file in due/*; do
                time=0
                if [ -f "$file" ]; then read -r time < "$file"; fi
                if [ "${time:-0}" -le "$value" ]; then rm -f "$file"; give "${file#due/}"; fi
            done ;;
    esac
done
