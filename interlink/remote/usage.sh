# Print what this machine has used, whoever used it: lines of /proc, H clock ticks a second, and N the time, last:
# nothing that was looked at before has begun after it.

il_usage() {
    printf 'H %s\n' "$(getconf CLK_TCK 2> /dev/null || echo 100)"
    grep -sE '^(cpu |btime |MemTotal:|MemAvailable:)' /proc/stat /proc/meminfo
    grep -sH '' /proc/uptime
    printf 'N %s\n' "$(date +%s.%N)"
}
