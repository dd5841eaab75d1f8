# Print what our running containers use, from their cgroups, v1 or v2. Needs lib.sh and remote/usage.sh.
# Two calls of the engine for all of them, whatever their number. Lines: U uid container started-at cpu-file
# memory-directory, then the files' lines as grep prints them, then those of il_usage, E the end.

il_stats() {
    ids=$("$IL_ENGINE" ps -q --no-trunc --filter "label=interlink.eu/server=$IL_SERVER" --filter status=running) || return 92
    if [ -n "$ids" ]; then
        printf '%s\n' $ids | xargs -n 500 "$IL_ENGINE" container inspect --format "$IL_STATS" 2> /dev/null |
            il_stats_places > "tmp/stats.$$"
        grep '^U' "tmp/stats.$$"
        sed -n 's/^F //p' "tmp/stats.$$" | xargs -n 1000 \
            grep -sHE '^([0-9]+|usage_usec [0-9]+|(total_)?inactive_file [0-9]+)$' /dev/null
        rm -f "tmp/stats.$$"
    fi
    il_usage
    echo E
}

IL_STATS='{{.State.Pid}} {{index .Config.Labels "interlink.eu/uid"}} {{index .Config.Labels "interlink.eu/container"}} {{json .State.StartedAt}}'

# il_stats_places: find each container's cgroup by its process.
il_stats_places() {
    while read -r pid uid name began; do
        cpu= memory=
        if [ ! -r "/proc/$pid/cgroup" ]; then continue; fi
        while IFS=: read -r _ kinds path; do
            case ,$kinds, in
                *,cpuacct,*) cpu=/sys/fs/cgroup/$kinds$path/cpuacct.usage ;;
                *,memory,*) memory=/sys/fs/cgroup/$kinds$path ;;
                ,,) if [ -z "$cpu$memory" ]; then cpu=/sys/fs/cgroup$path/cpu.stat memory=/sys/fs/cgroup$path; fi ;;
            esac
        done < "/proc/$pid/cgroup"
        printf 'U %s %s %s %s %s\n' "$uid" "$name" "$began" "$cpu" "$memory"
        for file in "$cpu" "$memory/memory.usage_in_bytes" "$memory/memory.current" "$memory/memory.stat"; do
            printf 'F %s\n' "$file"
        done
    done
}
