# One container at a time, and what happens to it. Its variables are FIELD_INDEX; `load` makes them FIELD.

load() {
	i=$1
	eval "kind=\$kind_$i name=\$name_$i state=\$state_$i pid=\$pid_$i code=\$code_$i attempt=\$attempt_$i \
		started=\$started_$i finished=\$finished_$i reason=\$reason_$i message=\$message_$i last=\$last_$i \
		said=\$said_$i before=\$before_$i"
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
	for field in pid started finished reason message last said before termed devices; do eval "${field}_$n="; done
	eval "state_$n=new code_$n=0 attempt_$n=0 delay_$n=0 put_off_$n=0 size_$n=0"
}

# --- the image, if the runtime runs one

begin() { # an attempt: its image first
	put message ""
	if [ ! -e "image/$name" ]; then launch; return; fi
	put state pulling
	put reason ContainerCreating
	(
		trap - TERM
		setsid sh "image/$name" "$lib" >"image/$name.err" 2>&1 </dev/null 3>&- &
		echo "pull $i $!" >&3
		wait $!
		echo "pulled $i $?" >&3
	) &
}

on_pull() { # INDEX PID
	load "$1"
	[ "$state" = pulling ] && put pid "$2"
	[ -z "$ending" ] || give_up
}

on_pulled() { # INDEX CODE
	load "$1"
	[ "$state" = pulling ] || return 0
	put pid ""
	if [ -n "$ending" ]; then
		put state unready
		give_up
		return
	fi
	word= text= pulled=
	IFS=$tab read -r word text pulled <"image/$name.result" || {
		word=CreateContainerError text=$(tail -n 1 "image/$name.err" | tr '\t' ' ')
	}
	rm -f "image/$name.result"
	if [ "$2" = 0 ]; then
		[ -z "$text" ] || tell Normal "$word" "$text"
		eval "put_off_$i=0"
		launch
	else
		case $word:$pulled in CreateContainer*:?*) tell Normal Pulled "$pulled" ;; esac
		put_off "$word" "$text"
	fi
}

# The container cannot be made now: say why, and try again later, as the kubelet does.
put_off() { # REASON MESSAGE
	put state unready
	put reason "$1"
	put message "$2"
	case $1 in # a kubelet tells why, and then of the error
	InvalidImageName) tell Warning InspectFailed "$2"; tell Warning Failed "Error: $1" ;;
	ErrImageNeverPull) tell Warning "$1" "$2"; tell Warning Failed "Error: $1" ;;
	*) tell Warning Failed "Error: $1: $2" ;;
	esac
	eval "delay=\$put_off_$i" # not that of a container that ends again and again: its image may be there each time
	delay=$((delay == 0 ? 10 : delay * 2))
	delay=$((delay > 300 ? 300 : delay))
	eval "put_off_$i=$delay"
	later "$delay" "due $i"
	[ "$1" != ErrImagePull ] || later 5 "stale $i"
}

on_stale() { # what was an error becomes a back-off
	load "$1"
	[ "$state:$reason" = unready:ErrImagePull ] || return 0
	put reason ImagePullBackOff
	put message "Back-off pulling image: $message"
	tell Normal BackOff "$message"
}

# What never ran ends with the pod: the kubelet has no status of such a container.
give_up() {
	case $state in
	pulling) [ -z "$pid" ] || kill -KILL "-$pid" 2>/dev/null ;;
	unready) ;;
	*) return 0 ;;
	esac
	[ "$state:$pid" != pulling: ] || return 0
	put state ended
	put pid ""
	if [ -n "$last" ]; then # it has run: how that ended is its end
		set -- $last
		put attempt $((attempt - 1))
		put code "$1"
		put reason "$2"
		put started "${3:-}"
		put finished "${4:-}"
		put last ""
		put said "$before"
		put before ""
		return 0
	fi
	put code 137
	put reason ContainerStatusUnknown
	put message "The container could not be located when the pod was terminated"
}

# --- an attempt

launch() {
	put state starting
	put finished ""
	put reason ""
	put message ""
	eval "termed_$i= stood_$i= size_$i=0 devices=\$devices_$i"
	(
		trap - TERM
		log=logs/$name.$attempt
		if ! true >>"$log"; then
			echo "ended $i 128" >&3
			exit
		fi
		setsid env -i $reset PATH="$PATH" HOME="${HOME:-/}" IL_CONTAINER="$uid/$name/$attempt" IL_DIR="$here" \
			IL_VOLUMES="$here/volumes" IL_MEMORY="$shared" IL_SCRATCH="$scratch" ${given+IL_GPUS="$devices"} \
			IL_POD_IP="$ip" IL_HOST_IP="$ip" IL_ATTEMPT="$attempt" \
			${IL_PRELOAD:+LD_PRELOAD="$IL_PRELOAD"} ${IL_PRELOAD_INSIDE:+"APPTAINERENV_LD_PRELOAD=$IL_PRELOAD_INSIDE"} \
			${IL_PRELOAD_INSIDE:+"SINGULARITYENV_LD_PRELOAD=$IL_PRELOAD_INSIDE"} \
			${IL_PRELOAD_INSIDE:+"APPTAINER_BIND=$IL_PRELOAD_INSIDE,$IL_TSOCKS"} \
			${IL_PRELOAD_INSIDE:+"SINGULARITY_BIND=$IL_PRELOAD_INSIDE,$IL_TSOCKS"} \
			${IL_PRELOAD_INSIDE:+"APPTAINERENV_TSOCKS_CONF_FILE=$IL_TSOCKS"} \
			${IL_PRELOAD_INSIDE:+"SINGULARITYENV_TSOCKS_CONF_FILE=$IL_TSOCKS"} ${IL_PRELOAD:+TSOCKS_CONF_FILE="$IL_TSOCKS"} \
			sh "start/$name" >>"$log" 2>"start/$name.err" </dev/null 3>&- &
		echo "started $i $!" >&3
		wait $!
		echo "ended $i $?" >&3
	) &
}

on_started() { # INDEX PID
	load "$1"
	put pid "$2"
	clock
	put started "$now"
	put state running
	tell Normal Created "Created container $name"
	[ -z "$killing" ] || slay
}

# Whether its program could be started shows a moment after the runtime was.
tell_start() {
	eval "stood=\$stood_$i"
	[ -z "$stood" ] || return 0
	eval "stood_$i=yes"
	tell Normal Started "Started container $name"
}

on_ended() { # INDEX CODE
	load "$1"
	scour "$uid/$name/$attempt"
	put code "$2"
	# told to stop while it makes the container, a runtime ends as it likes, podman well: nothing of the container has run
	if [ -d "box/$name" ] && [ ! -e "box/$name/stands" ] && { [ "$2" = 0 ] || [ -n "$ending" ]; }; then
		put code 137
		: >"logs/$name.$attempt"
	fi
	put pid ""
	if [ -z "$ending" ] && remedy; then
		launch
		return
	fi
	clock
	put finished "$now"
	put state ended
	put reason Error
	[ "$code" != 0 ] || put reason Completed
	blame
	if [ "$reason" = StartError ]; then tell Warning Failed "Error: $message"; else tell_start; fi
	leave
	mark
	[ -n "$ending" ] || ! comes_back || back_off
}

# The runtime could not set the container up (its 255, and nothing of the container has run): do once
# without what this node or this image may lack.
remedy() {
	[ "$code" = 255 ] && [ -d "box/$name" ] && [ ! -e "box/$name/stands" ] || return 1
	if grep -q 'set working directory' "logs/$name.$attempt"; then
		lack=$scratch/$name.cwd
	else
		lack=$scratch/no-overlay
	fi
	[ ! -e "$lack" ] && : >"$lack" && : >"logs/$name.$attempt"
}

# A container that could not be started: the kubelet's code 128, and why.
blame() {
	message=
	if [ -e "start/$name.refused" ]; then
		read -r message <"start/$name.refused"
		rm -f "start/$name.refused"
	elif [ ! -e "logs/$name.$attempt" ]; then
		message="cannot write its log: is the disk full?"
	elif [ -d "box/$name" ]; then
		case $code in 1 | 125 | 126 | 127 | 255) blame_runtime ;; esac # enroot's, podman's, apptainer's
	fi
	[ -n "$message" ] || return 0
	put message "$message"
	put code 128
	put reason StartError
}

# What the runtime says of its own is no output of the container's.
blame_runtime() {
	if [ -e "box/$name/refused" ]; then
		read -r message <"box/$name/refused"
	elif [ ! -e "box/$name/stands" ]; then
		message=$(sed -n -e 's/^FATAL: *//p' -e 's/^Error: //p' -e 's/^\[ERROR\] *//p' -e 's/^enroot-[a-z]*: *//p' "logs/$name.$attempt" | tail -n 1 | cut -c 1-600 | tr '\t' ' ')
		message=${message:-the runtime could not start it}
	else
		return 0
	fi
	: >"logs/$name.$attempt"
}

# What the container leaves as its message, in base64: the end of its file or, where it asked for that and failed without
# one, of its log. How much of them is the kubelet's (kuberuntime_container.go).
leave() {
	eval "fallback=\$fallback_$i"
	if [ -s "box/$name/message" ]; then
		put said "$(tail -c 4096 "box/$name/message" | base64 | tr -d '\n')"
	elif [ -n "$fallback" ] && [ "$code" != 0 ] && [ "$reason" != StartError ]; then
		put said "$(tail -n 80 "logs/$name.$attempt" | tail -c 2048 | base64 | tr -d '\n')"
	fi
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
	[ "$delay" = 0 ] || tell Warning BackOff "Back-off restarting failed container $name"
	later "$delay" "due $i"
	delay=$((delay == 0 ? 10 : delay * 2))
	eval "delay_$i=$((delay > 300 ? 300 : delay))"
}

on_due() {
	load "$1"
	case $state in
	unready) begin ;;
	waiting)
		put last "$code $reason $started $finished"
		put before "$said"
		put said ""
		put attempt $((attempt + 1))
		begin
		;;
	esac
}

# Whatever a container has left behind carries its mark in the environment; what a runtime mounts images with has
# neither its parent nor its environment, but its session.
scour() {
	tries=0
	while [ "$tries" -lt 50 ]; do
		left=
		for word in $([ ! -e "image/$name.oci" ] || of_session "${pid:--}"); do
			kill -KILL "$word" 2>/dev/null && left=yes
		done
		for file in $(grep -lsFxz -e "IL_CONTAINER=$1" -e "IL_CONTAINER=${1%/*}" /proc/[0-9]*/environ); do
			file=${file#/proc/}
			kill -KILL "${file%%/*}" 2>/dev/null && left=yes
		done
		[ -n "$left" ] || return 0
		tries=$((tries + 1))
		[ "$tries" -lt 3 ] || sleep 0.1
	done
}

# The living processes of a session; its number is not given to another while there is one.
of_session() {
	cat /proc/[0-9]*/stat 2>/dev/null | awk -v session="$1" '
		{ pid = $1; sub(/^.*\) /, ""); if ($4 == session && $1 != "Z" && $1 != "X") print pid }'
}

halt() {
	case $state in
	waiting) put state ended ;;
	pulling | unready)
		give_up
		[ "$state" = ended ] || busy=yes
		;;
	starting) busy=yes ;;
	running)
		busy=yes
		eval "termed=\$termed_$i; termed_$i=yes"
		[ -n "$termed" ] || ask_to_stop
		;;
	esac
}

ask_to_stop() {
	tell_start
	tell Normal Killing "Stopping container $name"
	send_stop
}

send_stop() {
	if is_being_made; then
		later 1 "resend $i"
		return
	fi
	eval "stop=\$stop_$i"
	[ -n "$stop" ] || [ ! -e "image/$name.oci" ] || stop=$(oci_stop= && . "./image/$name.oci" && echo "${oci_stop#SIG}")
	[ -n "$stop" ] || [ ! -e "image/$name.stop" ] || { read -r stop <"image/$name.stop" && stop=${stop#SIG}; }
	if [ "$term" = group ]; then signal "${stop:-TERM}"; else kill "-${stop:-TERM}" "$pid" 2>/dev/null; fi
}

# podman that still makes the container would end without it, and with 0. Its process is the runtime's own until the
# program takes its place.
is_being_made() {
	[ -e "image/$name.id" ] || return 1
	line=
	read -r line 2>/dev/null <"box/$name/stands" # fails without a newline, but has read
	[ -n "$line" ] || return 0
	read -r line 2>/dev/null <"/proc/$line/comm" || return 1
	case $line in crun | runc:*) ;; *) return 1 ;; esac
}

on_resend() {
	load "$1"
	[ "$state" != running ] || send_stop
}

# Before the child has made its own process group, it can only be met by its id.
signal() { kill "-$1" "-$pid" 2>/dev/null || kill "-$1" "$pid" 2>/dev/null; }

slay() {
	[ "$state" != running ] || { signal KILL; scour "$uid/$name/$attempt"; }
	return 0
}
