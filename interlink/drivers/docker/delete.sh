# Stop a pod and remove all of it, keeping its final status and last logs. Needs lib.sh, show.sh.
# delete.sh ENGINE SERVER VERSION UID GRACE KEEP_BYTES, or sourced for il_delete.

# il_delete UID GRACE KEEP_BYTES KEEP_MINUTES PATIENCE: tombstone first; the work goes on by itself if this is cut.
# Prints `pod absent`, `pod stopping`, or `pod gone` followed by what `il_show` prints of the kept pod.
il_delete() {
    il_now
    before=
    if [ -f "gone/$1" ]; then read -r before < "gone/$1"; fi
    printf '%s\n' $((NOW + $2)) > "gone/$1" || [ -e "gone/$1" ] || return 91 # a full disk still takes an empty one
    if [ ! -d "pods/$1" ]; then
        ids=$("$IL_ENGINE" ps -aq --filter "label=interlink.eu/uid=$1") || return 92
        if [ -z "$ids" ]; then
            if [ -d "kept/$1" ]; then echo 'pod gone'; il_show -1 "$1"; else echo 'pod absent'; fi
            return
        fi
    fi
    exec 8>> "locks/$1.delete"
    if flock -n 8; then
        setsid sh "$IL_BIN/delete.sh" "$IL_ENGINE" "$IL_SERVER" "$IL_VERSION" "$1" "$2" "$3" "$4" < /dev/null > /dev/null 2> "gone/.$1" &
        exec 8>&-
    elif [ -n "$before" ] && [ $((NOW + $2)) -lt "$before" ]; then
        il_hurry "$1" "$2"
    fi
    if timeout "$5" flock "locks/$1.delete" true; then
        if [ -d "kept/$1" ] && [ ! -d "pods/$1" ]; then echo 'pod gone'; il_show -1 "$1"; return; fi
        if [ ! -d "pods/$1" ]; then echo 'pod absent'; return; fi
        cat "gone/.$1" >&2
        return 92
    fi
    echo 'pod stopping'
}

# il_hurry UID GRACE: a stop goes on with a longer grace; cut it to this one.
il_hurry() {
    names=$("$IL_ENGINE" ps -aq --filter "label=interlink.eu/uid=$1") # podman: one that stops does not run
    if [ -n "$names" ]; then il_detach "$IL_ENGINE" stop -t "$2" $names; fi
}

# il_running KINDS...: names of the running containers of these kinds (init, main, sidecar, pause).
# For podman, one that is being stopped does not run.
il_running() {
    for kind in "$@"; do
        set -- --filter "label=interlink.eu/uid=$U" --filter "label=interlink.eu/kind=$kind"
        if [ "$IL_ENGINE" = podman ]; then
            podman ps -a --format '{{.Names}} {{.State}}' "$@" | sed -n -e 's/ Up.*//p' -e 's/ Stopping.*//p' -e 's/ Paused.*//p'
        else "$IL_ENGINE" ps --format '{{.Names}}' "$@"; fi
    done
}

# il_stop NAMES...: with what is left of the grace period.
il_stop() {
    il_now
    left=$((UNTIL > NOW ? UNTIL - NOW : 0))
    if [ "$left" -eq 0 ]; then "$IL_ENGINE" kill "$@"; else il_stop_gently "$left" "$@"; fi > /dev/null
}

# il_keep: final status and the last logs, complete or not at all.
il_keep() {
    if [ -d "kept/$U" ]; then return 0; fi
    new=tmp/kept.$U.$$
    il_quote_logs "$P"
    mkdir -p "$new/log" "$new/message" && cp -R "$P/state" "$P/skeleton.json" "$new/" || return 1
    seen=$(il_containers --filter "label=interlink.eu/uid=$U") && printf '%s\n' "$seen" > "$new/containers" || return 1
    for name in $("$IL_ENGINE" ps -a --format '{{.Names}}' --filter "label=interlink.eu/uid=$U"); do
        case $name in *-_pause-*) continue ;; esac
        log=$new/log/${name#il-"$U"-}
        "$IL_ENGINE" logs --timestamps "$name" 2>&1 | tail -c "$KEEP_BYTES" > "$log"
        if [ "$(wc -c < "$log")" -ge "$KEEP_BYTES" ]; then : > "$log.cut"; fi
    done
    for file in "$P"/message/*; do
        if [ -s "$file" ]; then tail -c 4096 "$file" > "$new/message/${file##*/}"; fi
    done
    mv -T "$new" "kept/$U"
}

# il_remove: containers first, then volumes, bundle last; until nothing is left.
il_remove() {
    depend=
    if [ "$IL_ENGINE" = podman ]; then depend=--depend; fi # it insists on an order else
    while ids=$("$IL_ENGINE" ps -aq --filter "label=interlink.eu/uid=$U") && [ -n "$ids" ]; do
        "$IL_ENGINE" rm -f -v $depend $ids > /dev/null || return 1
    done
    volumes=$("$IL_ENGINE" volume ls -q --filter "label=interlink.eu/uid=$U") || return 1
    if [ -n "$volumes" ]; then "$IL_ENGINE" volume rm -f $volumes > /dev/null || return 1; fi
    rm -rf "$P" "live/$U" "due/$U" "locks/$U"
}

il_delete_now() {
    il_now
    UNTIL=$((NOW + GRACE))
    ( il_lock "$U" ) || return 1 # a step that is under way ends first; later ones see the tombstone
    il_untend
    names=$(il_running main init)
    if [ -n "$names" ]; then il_stop $names; fi
    names=$(il_running sidecar)
    if [ -n "$names" ]; then
        for c in ${IL_SIDECARS_REVERSED:-}; do
            for name in $names; do case $name in il-"$U-$c"-*) il_stop "$name" ;; esac; done
        done
    fi
    il_lock "$U" || return 1
    if [ -d "$P" ] && ! said=$(il_keep 2>&1); then
        rm -rf "tmp/kept.$U.$$"
        case $said in # on a full disk it is better to make room than to remember
            *'No space left'* | *'uota exceeded'* | *'I/O error'*) ;;
            *) printf '%s\n' "$said" >&2; return 1 ;;
        esac
    fi
    il_remove || return 1
    il_now
    il_poke
    find kept -mindepth 1 -maxdepth 1 -mmin +"$KEEP_MINUTES" -exec rm -rf {} +
    find gone locks -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -f {} +
    rm -f "gone/.$U"
}

if [ "${0##*/}" = delete.sh ]; then
    IL_ENGINE=$1 IL_SERVER=$2 IL_VERSION=$3 GRACE=$5 KEEP_BYTES=$6 KEEP_MINUTES=$7
    . "./bin/$3/lib.sh"
    . "./bin/$3/show.sh"
    . "./bin/$3/care.sh"
    il_pod "$4"
    il_delete_now
fi
