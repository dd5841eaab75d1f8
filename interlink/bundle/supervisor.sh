#!/bin/sh
# Runs one pod to its end, without anybody's help: inits in order, native sidecars, mains, restarts,
# deadline, stop. Usage: .../supervisor.sh DIRECTORY, a bundle made by interlink/bundle/job.py:
#
#   plan             sourced: uid policy grace deadline term memory count, and of every container kind_N name_N
#                    gpus_N stop_N fallback_N
#   start/NAME       what starts a container; runs under the environment that `launch` gives it
#   image/NAME       what has its image ready, where the runtime runs images
#   volumes/NAME/    files, at $IL_VOLUMES/NAME
#   logs, work       directories for output, and to work in where there is no image
#   accepted         "accepted UID TIME EXPIRES", if the pod came before it could start: its deadline counts from then
#   grace            seconds, left by a delete before it sends TERM; without it, a batch system has sent that
#
# and what this script writes there, each by rename or by append:
#
#   claim            a link to "PID BIRTH BOOT": who supervises; exactly one ever does
#   events           a fifo: "stop SECONDS" from outside, and everything that happens inside
#   status           the whole state, see records.sh; its last line is "end"
#   scratch, shared  links to directories of this node, on its disk and in its memory
#   logs/NAME.N      output of attempt N; logs/NAME.N.times: lines "TIME SIZE", what was there when
#
# The other scripts lie beside this one. One process decides; all others only start, sleep or wait and then write a line
# into the fifo. So nothing is shared, and no signal has to interrupt a `wait`. Runs under dash, bash and busybox sh.
# Times are seconds since 1970.
set -u
umask 077
(set -o posix) 2>/dev/null && set -o posix # bash: a trapped signal interrupts `read`
lib=${0%/*}
case $lib in /*) ;; *) lib=$PWD/$lib ;; esac
cd "$1" || exit 1
here=$PWD
. ./plan
. "$lib/records.sh"
. "$lib/containers.sh"

tab='	'
now= seq=0 ending= over= signalled= unsaved= beat=1 ip= told= events=0
pid= kind= name= state= # of the container at hand, set by `load`

# Every process that is started takes longer than all that this script does by itself, so the time is looked up once for
# an event.
clock() { [ -n "$now" ] || now=$(date +%s); }

# The start time of a process, which with its id names it for ever; empty if it is gone or a zombie.
birth() {
	line=
	read -r line 2>/dev/null <"/proc/$1/stat" || return 0
	set -- ${line##*") "}
	[ "$1" = Z ] || echo "${20}"
}

# --- time

later() { (sleep "$1" && echo "$2" >&3) & }

# --- the pod

# Start what may be started now. An init must have ended with 0, a sidecar must have been started,
# before what follows them is.
advance() {
	if [ -n "$ending" ]; then
		wind_down
	elif each pass; then
		! each is_over_main || finish Completed "$grace"
	elif [ "$kind:$state" = init:ended ]; then
		finish Failed "$grace"
	fi
}

pass() {
	[ "$state" != new ] || begin
	case $kind:$state:$code in
	*:pulling:*) return 1 ;; # one whose image is fetched delays the next, as in Kubernetes
	main:* | init:ended:0) ;;
	init:* | sidecar:starting:* | sidecar:unready:*) return 1 ;;
	esac
}

is_over_main() { [ "$kind" != main ] || [ "$state" = ended ]; }

# Begin to end the pod; a second call can only shorten the grace period.
finish() { # REASON GRACE
	ending=${ending:-$1}
	stop_grace=$2
	wind_down
	[ -n "$over" ] || if [ "$stop_grace" -gt 0 ]; then later "$stop_grace" kill; else on_kill; fi
}

# Inits and mains first, all at once; then the sidecars, last to first.
wind_down() {
	busy=
	each halt_first
	[ -z "$busy" ] || return 0
	n=$count
	while [ "$n" -gt 0 ]; do
		n=$((n - 1))
		load "$n"
		[ "$kind" = sidecar ] || continue
		halt
		[ -z "$busy" ] || return 0
	done
	over=yes
}

halt_first() { [ "$kind" = sidecar ] || halt; }

on_kill() {
	killing=yes
	each slay
}

on_signal() {
	signalled=
	if read -r a 2>/dev/null <grace; then
		finish Deleted "$a"
	elif [ -n "${SLURM_JOB_ID:-}" ]; then
		[ -n "$ending" ] || finish Stopped "$grace"
	else
		finish Deleted "$grace"
	fi
}

# --- the node

# A directory on this node's own disk, for what no other node needs, and one in its memory.
places() {
	scratch=$(mktemp -d "${TMPDIR:-/tmp}/il.XXXXXX") || { scratch=$here/work/.node && mkdir -p "$scratch"; }
	ln -sfn "$scratch" scratch
	shared=$scratch/shared
	[ -n "$memory" ] || return 0
	shared=$(mktemp -d /dev/shm/il.XXXXXX) || shared=$scratch/shared
	ln -sfn "$shared" shared
	for volume in $memory; do mkdir -p "$shared/$volume" && chmod 777 "$shared/$volume"; done
}

# The devices that the job was given, each to one container; who asked for none gets none.
share_devices() {
	unset given
	all=${CUDA_VISIBLE_DEVICES-${ROCR_VISIBLE_DEVICES-none}}
	[ "$all" != none ] || return 0
	given=yes n=0
	while [ "$n" -lt "$count" ]; do
		eval "wanted=\$gpus_$n kind=\$kind_$n"
		[ "$kind" != init ] || { eval "devices_$n=\$(echo \"$all\" | cut -d , -f \"1-$wanted\" 2>/dev/null)"; wanted=0; }
		while [ "$wanted" -gt 0 ] && [ -n "$all" ]; do
			eval "devices_$n=\${devices_$n:+\$devices_$n,}${all%%,*}"
			case $all in *,*) all=${all#*,} ;; *) all= ;; esac
			wanted=$((wanted - 1))
		done
		n=$((n + 1))
	done
}

# --- life

boot=
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id
me=$(birth $$)
# Over NFS, the answer to a success may be lost, and the repetition then fails.
ln -s "$$ $me $boot" claim 2>/dev/null || [ "$(readlink claim)" = "$$ $me $boot" ] || exit 0
[ ! -e "../../gone/$uid" ] || exit 0
mkfifo events || exit 1
exec 3<>events
trap 'signalled=yes' TERM

# A background job of a shell without job control ignores INT and QUIT, and whoever started us may have
# ignored more; where env can, undo that for the containers.
reset=
if env --default-signal --version >/dev/null 2>&1; then reset=--default-signal; fi
ip=$(hostname -I 2>/dev/null || hostname -i 2>/dev/null)
ip=${ip%% *} ip=${ip:-127.0.0.1}

clock
born=$now killing= n=0
while [ "$n" -lt "$count" ]; do
	fresh
	n=$((n + 1))
done
places
share_devices
if [ -n "$deadline" ]; then
	! IFS=$tab read -r event event event a 2>/dev/null <accepted || deadline=$((a > born ? a - born : 0))
	later "$deadline" deadline
fi
later 1 tick
advance
save

while [ -z "$over" ]; do
	event= a= b=
	read -r event a b <&3
	now=
	[ -z "$signalled" ] || on_signal
	case $event in
	started | ended | due | pull | pulled | stale | resend) "on_$event" "$a" "$b" ;;
	stop) finish Deleted "$a" ;;
	deadline) [ -n "$ending" ] || finish DeadlineExceeded "$grace" ;;
	kill) on_kill ;;
	tick) tick ;;
	esac
	advance
	[ "$event" = tick ] && [ -z "$unsaved" ] || save
done

# Secrets go as soon as nothing can be started any more.
set -- start volumes pull box "$scratch" "$shared" scratch shared events
rm -rf "$@" 2>/dev/null || { chmod -R u+rwx "$scratch"; rm -rf "$@"; } 2>/dev/null
tries=0
while [ -n "$unsaved" ] && [ "$tries" -lt 30 ]; do
	sleep 1
	save
	tries=$((tries + 1))
done
trap '' TERM
kill -TERM 0 # the timers

failed() { [ "$kind" = main ] && [ "$code:$state" != 0:ended ]; }
none_failed() { ! failed; }
[ -z "$unsaved" ] && each none_failed
