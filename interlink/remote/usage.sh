# Print what this machine has used, whoever used it: lines of /proc, and H clock ticks a second.

il_usage() {
    printf 'H %s\n' "$(getconf CLK_TCK 2> /dev/null || echo 100)"
    grep -sE '^(cpu |btime |MemTotal:|MemAvailable:)' /proc/stat /proc/meminfo
    grep -sH '' /proc/uptime
}
