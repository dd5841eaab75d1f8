# Print what is known of pods. Needs lib.sh. Lines begin with: T host's time, C a container as JSON,
# pods/... or kept/... a line of a file, A the host's address, F a line of the feed, M a termination message in base64, O the feed's size,
# G a tombstone, P a pod that is (still) there, E the end.

# il_show OFFSET [UID...]: all pods of this server id, or these; what was appended to the feed after OFFSET bytes.
# Files first, engine second: what is recorded then must be known to the engine, unless it is lost.
il_show() {
    il_now
    printf 'T %s\n' "$NOW"
    if [ -f hostip ]; then read -r IL_HOST_IP < hostip && printf 'A %s\n' "$IL_HOST_IP"; fi
    il_show_feed "$1"
    shift
    if [ $# -gt 0 ]; then il_show_these "$@"; else il_show_all; fi || return
    for path in gone/*; do if [ -e "$path" ]; then echo "G ${path#gone/}"; fi; done
    for path in pods/*; do if [ -e "$path" ]; then echo "P ${path#pods/}"; fi; done
    echo E
}

il_show_feed() {
    size=$(wc -c < feed)
    if [ "$1" -ge 0 ] && [ "$1" -lt "$size" ]; then tail -c "+$(($1 + 1))" feed | head -c $((size - $1)) | sed 's/^/F /'; fi
    printf 'O %s\n' "$size"
}

il_show_all() {
    find pods ! -name '*.err' \( -path '*/state/*' -o -name skeleton.json \) -type f -exec grep -sH '' {} + || :
    il_containers --filter "label=interlink.eu/server=$IL_SERVER" || return
    for path in pods/*; do il_show_messages "$path"; done
    for path in live/*; do if [ -e "$path" ]; then il_supervise; fi; break; done
}

il_show_these() {
    names=
    for u in "$@"; do
        if [ -d "pods/$u" ]; then
            grep -sH '' "pods/$u/skeleton.json" "pods/$u"/state/* "pods/$u/state/.pod" || :
            il_show_names "$u"
            il_show_messages "pods/$u"
        elif [ -d "kept/$u" ]; then
            grep -sH '' "kept/$u/skeleton.json" "kept/$u"/state/* "kept/$u/state/.pod" || :
            cat "kept/$u/containers"
            il_show_messages "kept/$u"
        fi
    done
    if [ -n "$names" ]; then il_inspect $names; fi
}

# il_show_names UID: add to `names` the containers that there may be: the last attempt on record, the one before,
# and one that was launched just now. Asking for their ids first would cost as much as all the rest.
il_show_names() {
    P=pods/$1
    for file in "$P"/c/*.sh; do
        c=${file##*/}
        c=${c%.sh}
        il_load "$c"
        if [ "$N" -ge 1 ]; then names="$names il-$1-$c-$((N - 1))"; fi
        if [ "$N" -ge 0 ]; then names="$names il-$1-$c-$N"; fi
        names="$names il-$1-$c-$((N + 1))"
    done
}

# il_show_messages DIRECTORY: what the pod's containers have left as termination messages, the end of each.
il_show_messages() {
    case $1 in pods/*) il_quote_logs "$1" ;; esac
    for file in "$1"/message/*; do
        if [ -s "$file" ]; then printf 'M %s ' "$file"; tail -c 4096 "$file" | base64 | tr -d '\n'; echo; fi
    done
}

il_containers() { # FILTER...
    ids=$("$IL_ENGINE" ps -aq --no-trunc "$@") || return 92
    if [ -n "$ids" ]; then il_inspect $ids; fi
}

# il_inspect NAMES...: a container that is not there makes inspect fail while it prints the rest.
il_inspect() {
    {
        if [ $# -le 1000 ]; then il_wrong=$("$IL_ENGINE" container inspect --format "$IL_SHOW" "$@" 2>&1 >&3 3>&-)
        else il_wrong=$(printf '%s\n' "$@" | xargs -n 1000 "$IL_ENGINE" container inspect --format "$IL_SHOW" 2>&1 >&3 3>&-); fi
    } 3>&1
    while IFS= read -r line; do
        case $line in '' | *[Nn]'o such '* | *'no container with '*) ;; *) printf '%s\n' "$line" >&2; return 92 ;; esac
    done << EOF
$il_wrong
EOF
}
