# Our services on a machine: by systemd (system or user), or by a pid file. POSIX sh, sourced before one of these calls.
# Set by the caller: il_base, il_manager (system, user, pidfile), il_name.

il_ctl() {
    if [ "$il_manager" = user ]; then
        XDG_RUNTIME_DIR=${XDG_RUNTIME_DIR:-/run/user/$(id -u)} systemctl --user "$@"
    else
        systemctl "$@"
    fi
}

il_run=$il_base/run
il_pid_file=$il_run/$il_name.pid

# The start time of a process, in ticks: with its number, its identity. Fails for a zombie.
il_started() {
    [ -r "/proc/$1/stat" ] || return 1
    il_rest=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    il_rest=${il_rest##*) }
    set -- $il_rest
    [ "$1" != Z ] && shift 19 && printf '%s' "$1"
}

# Print the pid of the process in the pid file, if it is that very process.
il_pid() {
    [ -f "$il_pid_file" ] || return 1
    read -r il_number il_ticks < "$il_pid_file" || return 1
    [ "$(il_started "$il_number")" = "$il_ticks" ] && [ -n "$il_ticks" ] && printf '%s\n' "$il_number"
}

# active | inactive | failed ..., and the stamp with which it was started.
il_state() {
    if [ "$il_manager" = pidfile ]; then
        if il_pid >/dev/null; then echo "state active"; else echo "state inactive"; fi
    else
        echo "state $(il_ctl is-active "$il_name.service" 2>/dev/null || :)"
    fi
    echo "stamp $(cat "$il_run/$il_name.stamp" 2>/dev/null || :)"
    echo "release $(basename "$(readlink "$il_base/current" 2>/dev/null || :)")"
    echo "previous $(basename "$(readlink "$il_base/previous" 2>/dev/null || :)")"
}

# il_stop: asks it to end, waits, and kills what does not.
il_stop() {
    if [ "$il_manager" != pidfile ]; then
        if il_ctl cat "$il_name.service" >/dev/null 2>&1; then il_ctl stop "$il_name.service"; fi
        return
    fi
    il_number=$(il_pid) || { rm -f "$il_pid_file"; return 0; }
    kill -TERM "$il_number" 2>/dev/null
    il_left=600
    while il_pid >/dev/null && [ "$il_left" -gt 0 ]; do sleep 0.1; il_left=$((il_left - 1)); done
    if il_pid >/dev/null; then kill -KILL "-$il_number" 2>/dev/null; sleep 0.2; fi
    rm -f "$il_pid_file"
}

# il_start STAMP LOG ARGV...: starts it if it does not run; a crash between any two lines is repaired by the next call.
il_start() {
    il_stamp=$1 il_log=$2
    shift 2
    umask 077
    mkdir -p "$il_run" && chmod 700 "$il_run" || return 1
    case $(il_state) in "state active"*) return 0 ;; esac
    if [ "$il_manager" != pidfile ]; then
        il_ctl daemon-reload && il_ctl enable -q "$il_name.service" && il_ctl start "$il_name.service" || return 1
    else
        (
            umask 077
            cd /
            # In a session of its own, which outlives this connection; it writes down itself who it is, then becomes it.
            setsid sh -c '
                il_file=$1 il_log=$2
                shift 2
                read -r il_stat < "/proc/$$/stat"
                set -- "$il_stat" "$@"
                il_rest=${1##*) }
                shift
                il_ticks=$(printf "%s\n" "$il_rest" | cut -d " " -f 20)
                printf "%s %s\n" "$$" "$il_ticks" > "$il_file.new" && mv -f "$il_file.new" "$il_file" || exit 1
                exec "$@" >> "$il_log" 2>&1
            ' sh "$il_pid_file" "$il_log" "$@" </dev/null >/dev/null 2>&1 &
        )
        il_left=100
        while ! il_pid >/dev/null && [ "$il_left" -gt 0 ]; do sleep 0.1; il_left=$((il_left - 1)); done
    fi
    printf '%s\n' "$il_stamp" > "$il_run/$il_name.stamp"
}

# il_logs LINES: the last lines of its log.
il_logs() {
    if [ "$il_manager" = system ]; then journalctl -q --no-pager -n "$1" -u "$il_name.service"
    elif [ "$il_manager" = user ]; then journalctl -q --no-pager -n "$1" --user -u "$il_name.service"
    else tail -n "$1" "$il_run/$il_name.log"
    fi
}

# il_switch RELEASE: makes it the current one, by renames alone; the one before stays for a rollback.
il_switch() {
    il_now=$(readlink "$il_base/current" 2>/dev/null || :)
    [ "$il_now" = "releases/$1" ] && return 0
    if [ -n "$il_now" ]; then ln -sfn "$il_now" "$il_base/previous.new" && mv -fT "$il_base/previous.new" "$il_base/previous" || return 1; fi
    ln -sfn "releases/$1" "$il_base/current.new" && mv -fT "$il_base/current.new" "$il_base/current"
}
