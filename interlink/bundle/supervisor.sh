#!/bin/sh
# Runs one pod to its end, without anybody's help: inits in order, native sidecars, mains, restarts,
# deadline, stop. Usage: supervisor.sh DIRECTORY, a bundle made by interlink/bundle/job.py:
#
#   plan             sourced: uid policy grace deadline count, and kind_N name_N of every container
#   start/NAME       what starts a container; runs under the environment that `launch` gives it
#   volumes/NAME/    files, at $IL_VOLUMES/NAME
#
# and what this script writes there, each by rename or by append:
#
#   claim            a link to "PID BIRTH BOOT": who supervises; exactly one ever does
#   events           a fifo: "stop SECONDS" from outside, and everything that happens inside
#   status           the whole state, see `save`; its last line is "end"
#   logs/NAME.N      output of attempt N; logs/NAME.N.times: lines "TIME SIZE", what was there when
#
# One process decides; all others only start, sleep or wait and then write a line into the fifo. So
# nothing is shared, and no signal has to interrupt a `wait`. Runs under dash, bash and busybox sh.
# Times are seconds since 1970.
set -u
umask 077
(set -o posix) 2>/dev/null && set -o posix # bash: a trapped signal interrupts `read`
cd "$1" || exit 1
here=$PWD
. ./plan

tab='	'
seq=0 ending= over= signalled= unsaved= beat=1 ip=
pid= kind= name= state= # of the container at hand, set by `load`

now() { date +%s; }

# The start time of a process, which with its id names it for ever; empty if it is gone or a zombie.
birth() {
	line=
	read -r line 2>/dev/null <"/proc/$1/stat" || return 0
	set -- ${line##*") "}
	[ "$1" = Z ] || echo "${20}"
}

# --- the containers' variables: FIELD_INDEX

load() {
	i=$1
	eval "kind=\$kind_$i name=\$name_$i state=\$state_$i pid=\$pid_$i code=\$code_$i attempt=\$attempt_$i \
		started=\$started_$i finished=\$finished_$i reason=\$reason_$i message=\$message_$i last=\$last_$i"
}

put() { eval "$1_$i=\$2; $1=\$2"; }

each() { # call a function after loading each container; a failure ends the loop and is returned
	n=0
	while [ "$n" -lt "$count" ]; do
		load "$n"
		"$@" || return
		n=$((n + 1))
	done
}

fresh() {
	for field in pid started finished reason message last termed; do eval "${field}_$n="; done
	eval "state_$n=new code_$n=0 attempt_$n=0 delay_$n=0 size_$n=0"
}

# --- records

# status: "pod SEQ PID BIRTH BOOT BORN ENDING OVER IP", then per container
# "c INDEX STATE ATTEMPT PID STARTED FINISHED CODE REASON LAST MESSAGE"; tabs between, "-" for nothing.
# LAST is "CODE REASON STARTED FINISHED" of the attempt before.
show() {
	printf 'c\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$i" "$state" "$attempt" "${pid:--}" "${started:--}" \
		"${finished:--}" "$code" "${reason:--}" "${last:--}" "${message:--}"
}

write() {
	printf 'pod\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$uid" "$seq" "$$" "$me" "$boot" "$born" "${ending:--}" \
		"${over:--}" "${ip:--}" && each show && echo end
}

save() {
	seq=$((seq + 1)) unsaved=
	if ! { write >status.new && mv -f status.new status; } 2>/dev/null; then
		unsaved=yes
		return
	fi
	[ ! -e ../../feed ] || echo "$uid" >>../../feed
}

# --- time

later() { (sleep "$1" && echo "$2" >&3) & }

# What a log holds by now goes into its index, with the time of the last write.
mark() {
	eval "size=\$size_$i"
	set -- $(stat -c '%Y %s' "logs/$name.$attempt" 2>/dev/null)
	[ $# = 2 ] && [ "$2" != "$size" ] || return 0
	echo "$1 $2" >>"logs/$name.$attempt.times"
	eval "size_$i=\$2"
	beat=1
}

mark_running() { [ "$state" != running ] || mark; }

# Look at the logs every second while something is written, else less and less often, up to 16 s.
tick() {
	beat=$((beat < 16 ? beat * 2 : 16))
	each mark_running
	[ -n "$over" ] || later "$beat" tick
}

# --- one container

launch() {
	put state starting
	put finished ""
	put reason ""
	put message ""
	eval "termed_$i= size_$i=0"
	(
		trap - TERM
		log=logs/$name.$attempt
		if ! true >>"$log"; then
			echo "ended $i 128" >&3
			exit
		fi
		setsid env -i $reset PATH="$PATH" HOME="${HOME:-/}" IL_CONTAINER="$uid/$name/$attempt" IL_DIR="$here" \
			IL_VOLUMES="$here/volumes" IL_POD_IP="$ip" IL_HOST_IP="$ip" \
			sh "start/$name" >>"$log" 2>"start/$name.err" </dev/null 3>&- &
		echo "started $i $!" >&3
		wait $!
		echo "ended $i $?" >&3
	) &
}

on_started() { # INDEX PID
	load "$1"
	put pid "$2"
	put started "$(now)"
	put state running
	[ -z "$killing" ] || slay
}

on_ended() { # INDEX CODE
	load "$1"
	scour "$uid/$name/$attempt"
	put finished "$(now)"
	put code "$2"
	put pid ""
	put state ended
	put reason Error
	[ "$code" != 0 ] || put reason Completed
	blame
	mark
	[ -n "$ending" ] || ! comes_back || back_off
}

# A container that could not be started: the kubelet's code 128, and why.
blame() {
	message=
	if [ -e "start/$name.refused" ]; then
		read -r message <"start/$name.refused"
		rm -f "start/$name.refused"
	elif [ ! -e "logs/$name.$attempt" ]; then
		message="cannot write its log: is the disk full?"
	fi
	[ -n "$message" ] || return 0
	put message "$message"
	put reason StartError
}

comes_back() {
	case $kind:$policy:$code in
	sidecar:* | main:Always:*) ;;
	init:Never:* | main:Never:* | *:0) return 1 ;;
	esac
}

# Restart at once, then after 10 s, doubling to 300 s; forgotten after ten minutes of running.
back_off() {
	eval "delay=\$delay_$i"
	[ $((finished - started)) -lt 600 ] || delay=0
	put state waiting
	later "$delay" "due $i"
	delay=$((delay == 0 ? 10 : delay * 2))
	eval "delay_$i=$((delay > 300 ? 300 : delay))"
}

on_due() {
	load "$1"
	[ "$state" = waiting ] || return 0
	put last "$code $reason $started $finished"
	put attempt $((attempt + 1))
	launch
}

# Whatever a container has left behind carries its mark in the environment.
scour() {
	tries=0
	while [ "$tries" -lt 50 ]; do
		left=
		for file in $(grep -lsFxz "IL_CONTAINER=$1" /proc/[0-9]*/environ); do
			file=${file#/proc/}
			kill -KILL "${file%%/*}" 2>/dev/null && left=yes
		done
		[ -n "$left" ] || return 0
		tries=$((tries + 1))
		[ "$tries" -lt 3 ] || sleep 0.1
	done
}

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
	[ "$state" != new ] || launch
	case $kind:$state:$code in
	main:* | init:ended:0) ;;
	init:* | sidecar:starting:*) return 1 ;;
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

halt() {
	case $state in
	waiting) put state ended ;;
	starting) busy=yes ;;
	running)
		busy=yes
		eval "termed=\$termed_$i; termed_$i=yes"
		[ -n "$termed" ] || signal TERM
		;;
	esac
}

# Before the child has made its own process group, it can only be met by its id.
signal() { kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }

slay() {
	[ "$state" != running ] || { signal KILL; scour "$uid/$name/$attempt"; }
	return 0
}

on_kill() {
	killing=yes
	each slay
}

# --- life

boot=
read -r boot 2>/dev/null </proc/sys/kernel/random/boot_id
me=$(birth $$)
ln -s "$$ $me $boot" claim 2>/dev/null || exit 0
[ ! -e "../../gone/$uid" ] || exit 0
mkdir -p logs work
mkfifo events || exit 1
exec 3<>events
trap 'signalled=yes' TERM

# A background job of a shell without job control ignores INT and QUIT, and whoever started us may have
# ignored more; where env can, undo that for the containers.
reset=
if env --default-signal true 2>/dev/null; then reset=--default-signal; fi
ip=$(hostname -I 2>/dev/null || hostname -i 2>/dev/null)
ip=${ip%% *} ip=${ip:-127.0.0.1}

born=$(now) killing= n=0
while [ "$n" -lt "$count" ]; do
	fresh
	n=$((n + 1))
done
[ -z "$deadline" ] || later "$deadline" deadline
later 1 tick
advance
save

while [ -z "$over" ]; do
	event= a= b=
	read -r event a b <&3
	[ -z "$signalled" ] || { signalled= && finish Deleted "$grace"; }
	case $event in
	started | ended | due) "on_$event" "$a" "$b" ;;
	stop) finish Deleted "$a" ;;
	deadline) [ -n "$ending" ] || finish DeadlineExceeded "$grace" ;;
	kill) on_kill ;;
	tick) tick ;;
	esac
	advance
	[ "$event" = tick ] && [ -z "$unsaved" ] || save
done

# Secrets go as soon as nothing can be started any more.
rm -rf start volumes
tries=0
while [ -n "$unsaved" ] && [ "$tries" -lt 30 ]; do
	sleep 1
	save
	tries=$((tries + 1))
done
rm -f events
trap '' TERM
kill -TERM 0 # the timers

failed() { [ "$kind" = main ] && [ "$code:$state" != 0:ended ]; }
none_failed() { ! failed; }
[ -z "$unsaved" ] && each none_failed
