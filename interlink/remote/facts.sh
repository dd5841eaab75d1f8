# What this host is and has: one line per fact, "fact NAME VALUE" separated by tabs.
# POSIX sh (dash, busybox, bash). Nothing fails because a program is missing; a program that does not
# answer is given up after $il_patience seconds. Set by the caller: il_root, il_patience.

say() {
    printf 'fact\t%s\t%s\n' "$1" "$(printf '%s' "$2" | tr '\n\t' '  ')"
}

have() {
    command -v "$1" >/dev/null 2>&1
}

first_line() {
    while IFS= read -r il_line; do
        [ -z "$il_line" ] || { printf '%s' "$il_line"; cat >/dev/null; return 0; }
    done
}

# Run a command for at most $il_patience seconds; 124 if it was given up.
bounded() {
    if [ -n "$il_timeout" ]; then
        timeout -k 1 "$il_patience" "$@" </dev/null
        il_code=$?
    else
        "$@" </dev/null &
        il_job=$!
        (sleep "$il_patience"; kill -9 "$il_job") >/dev/null 2>&1 &
        il_watch=$!
        wait "$il_job"
        il_code=$?
        kill "$il_watch" 2>/dev/null
    fi
    # Killed: by us, or by a timeout that tells it with the signal's code, as busybox does.
    case $il_code in 137 | 143) il_code=124 ;; esac
    return "$il_code"
}

# Say NAME.version, or NAME.error with the last line of what went wrong.
version() {
    il_name=$1
    shift
    if ! have "$1"; then
        say "$il_name.error" "$1 is not installed"
        return 1
    fi
    il_answer=$(bounded "$@" 2>&1)
    case $? in
        0) say "$il_name.version" "$(printf '%s\n' "$il_answer" | tail -n 1)" ;;
        124) say "$il_name.error" "no answer within $il_patience seconds"; return 1 ;;
        *) say "$il_name.error" "$(printf '%s\n' "$il_answer" | grep -v '^ *$' | tail -n 1)"; return 1 ;;
    esac
}

# Say each line of a command's answer as a fact of its own.
each() {
    il_name=$1
    shift
    have "$1" || return 0
    bounded "$@" 2>/dev/null | while IFS= read -r il_line; do
        say "$il_name" "$il_line"
    done
}

basics() {
    say time "$(date +%s)"
    say uid "$(id -u)"
    say user "$(id -un 2>/dev/null)"
    say home "$HOME"
    say arch "$(uname -m)"
    say kernel "$(uname -sr)"
    say hostname "$(hostname 2>/dev/null || uname -n)"
    say os "$(sed -n 's/^PRETTY_NAME=//p' /etc/os-release 2>/dev/null | tr -d '"')"
    if [ -f /sys/fs/cgroup/cgroup.controllers ]; then say cgroup 2; else say cgroup 1; fi
    for il_tool in apptainer curl flock podman setsid singularity stdbuf tar timeout; do
        if have "$il_tool"; then say tool "$il_tool"; fi
    done
}

cpus() {
    say cpu.count "$(nproc 2>/dev/null || getconf _NPROCESSORS_ONLN 2>/dev/null || grep -c '^processor' /proc/cpuinfo)"
    # A limit of the whole machine, as in a container or a virtual private server: "QUOTA PERIOD".
    say cpu.limit "$(cat /sys/fs/cgroup/cpu.max 2>/dev/null ||
        cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null)"
}

memory() {
    say memory.kib "$(sed -n 's/^MemTotal: *\([0-9]*\) kB$/\1/p' /proc/meminfo 2>/dev/null)"
    say memory.limit "$(cat /sys/fs/cgroup/memory.max 2>/dev/null ||
        cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null)"
}

address() {
    # 192.0.2.1 stands for anywhere (RFC 5737); nothing is sent.
    say address.route "$(ip -4 -o route get 192.0.2.1 2>/dev/null | sed -n 's/.* src \([0-9.]*\).*/\1/p')"
    say address.all "$(hostname -I 2>/dev/null)"
    say address.ssh "${SSH_CONNECTION:-}"
}

disk() {
    case $il_root in
        '~') il_root=$HOME ;;
        '~/'*) il_root=$HOME/${il_root#'~/'} ;;
    esac
    say disk.path "$il_root"
    while [ -n "$il_root" ] && [ ! -d "$il_root" ]; do
        il_root=${il_root%/*}
    done
    say disk.df "$(bounded df -Pk "${il_root:-/}" 2>/dev/null | tail -n 1)"
}

gpus() {
    each gpu.nvidia nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader,nounits
    each gpu.amd rocm-smi --showproductname --csv
}

slurm() {
    have sinfo || return 0
    version slurm sinfo --version || return 0
    # Partition (* = default), up or down, time limit, nodes, CPUs as A/I/O/T, MiB per node, GRES; per kind of node.
    il_answer=$(bounded sinfo -h -o '%P|%a|%l|%D|%C|%m|%G' 2>&1)
    case $? in
        0) printf '%s\n' "$il_answer" | while IFS= read -r il_line; do say slurm.partition "$il_line"; done ;;
        124) say slurm.error "no answer within $il_patience seconds" ;;
        *) say slurm.error "$(printf '%s\n' "$il_answer" | first_line)" ;;
    esac
}

il_timeout=
if have timeout && timeout -k 1 1 true >/dev/null 2>&1; then il_timeout=yes; fi
basics
cpus
memory
address
gpus
version docker docker version --format '{{.Server.Version}}'
version podman podman info --format '{{.Version.Version}}'
slurm
disk
say complete yes
exit 0
