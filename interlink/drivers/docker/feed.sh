# Follow the engine's events and our feed file on one channel, until it closes. Needs lib.sh.
# Lines: `ready` once, an empty one as a sign of life, `+ UID` of a start, `- UID` of an end, or a line of the feed,
# which begins with a UID.

il_feed() {
    "$IL_ENGINE" ps -q --filter name=il-none > /dev/null || return 92
    main=$$
    since=$(date +%s) size=$(wc -c < feed)
    (
        trap 'kill "$child"; exit 0' TERM
        "$IL_ENGINE" events --since "$since" --filter "label=interlink.eu/server=$IL_SERVER" --filter type=container \
            --filter event=start --filter "event=$IL_DIE" --filter "event=$IL_GO" --format "$IL_EVENT" 2> /dev/null &
        child=$!
        wait "$child"
        kill "$main"
    ) &
    engine=$!
    tail -c "+$((size + 1))" -F feed 2> /dev/null &
    tail=$!
    trap 'trap "" TERM; kill "$engine" "$tail" $nap 2> /dev/null; trap - EXIT; exit 0' EXIT TERM HUP INT PIPE
    nap=
    echo ready
    while echo; do
        sleep 10 > /dev/null &
        nap=$!
        wait "$nap"
    done
}
