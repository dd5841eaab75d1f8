# What the shell driver does on its host, after place.sh.

# --- who supervises

# il_look UID: set il_pid, il_birth, il_over from the pod's record, or from its claim while it has none.
il_look() {
	il_pid='' il_birth='' il_over=''
	if IFS=$il_tab read -r il_word il_word il_word il_pid il_birth il_word il_word il_word il_over il_word \
		2>/dev/null <"pods/$1/status"; then return; fi
	il_line=$(readlink "pods/$1/claim") && set -- $il_line && il_pid=$1 il_birth=$2
}

il_supervised() { il_look "$1" && [ -n "$il_pid" ] && il_alive "$il_pid" "$il_birth"; }

# il_check UID: find out whether a pod that is not over has lost its supervisor.
il_check() {
	[ ! -e "pods/$1/lost" ] || return 0
	il_supervised "$1" && return
	[ -n "$il_pid" ] && [ "$il_over" != yes ] || return 0
	il_look "$1" # it may have written its last record meanwhile
	[ "$il_over" = yes ] || il_lose "$1"
}

# il_lose UID: nobody will restart or stop these containers any more: end what is left, and say so.
il_lose() {
	il_scour "$1"
	printf 'lost\t%s\t%s\n' "$1" "$(date +%s)" >"pods/$1/lost.$$" && mv -f "pods/$1/lost.$$" "pods/$1/lost"
	for il_link in scratch shared; do # directories of the node, outside the bundle
		il_dir=$(readlink "pods/$1/$il_link") || continue
		chmod -R u+rwx "$il_dir" 2>/dev/null
		rm -rf "$il_dir"
	done
	rm -rf "pods/$1/start" "pods/$1/volumes" "pods/$1/pull" "pods/$1/box"
	echo "$1" >>feed
}

# il_scour UID: kill what carries the pod's mark in its environment, or is of a session of its, until nothing does.
il_scour() {
	il_n=0
	while [ "$il_n" -lt 50 ]; do
		il_left=
		for il_word in $(il_of_sessions "$1"); do
			kill -KILL "$il_word" 2>/dev/null && il_left=yes
		done
		for il_file in $(grep -lsFz "IL_CONTAINER=$1/" /proc/[0-9]*/environ); do
			il_file=${il_file#/proc/}
			kill -KILL "${il_file%%/*}" 2>/dev/null && il_left=yes
		done
		[ -n "$il_left" ] || return 0
		il_n=$((il_n + 1))
		[ "$il_n" -lt 3 ] || sleep 0.1
	done
}

# il_of_sessions UID: the living processes of the sessions in which the record says that containers run. A number is
# not given to another session while one process is left; so a session is ours if one of them is as old as the container.
il_of_sessions() {
	il_hertz=$(getconf CLK_TCK 2>/dev/null || echo 100)
	{
		grep '^btime ' /proc/stat
		awk -F '\t' '$1 == "c" && $3 == "running" { print "c", $5, $6 }' "pods/$1/status" 2>/dev/null
		cat /proc/[0-9]*/stat 2>/dev/null
	} | awk -v hertz="$il_hertz" '
		$1 == "btime" { boot = $2; next }
		$1 == "c" { started[$2] = $3; next }
		{
			pid = $1
			sub(/^.*\) /, "")
			if ($1 == "Z" || $1 == "X" || !($4 in started)) next
			of[pid] = $4
			apart = boot + $20 / hertz - started[$4]
			if (apart < 60 && apart > -60) ours[$4] = 1
		}
		END { for (pid in of) if (of[pid] in ours) print pid }'
}

# --- create

# il_create UID: prints new, existing, deleted, or "failed MESSAGE".
il_create() {
	[ ! -e "gone/$1" ] || { echo deleted; return; }
	il_new=existing
	if [ ! -d "pods/$1" ]; then
		il_unpack "$1" || return 0
		il_settle "$1"
	fi
	if [ ! -e "gone/$1" ] && [ ! -L "pods/$1/claim" ]; then
		read -r il_lib <"pods/$1/lib"
		setsid sh "$il_lib/supervisor.sh" "pods/$1" </dev/null >>"pods/$1/supervisor.log" 2>&1 &
	fi
	il_await "$1"
}

# Wait until the supervisor has recorded the pod. If a delete came between, nothing may stay.
il_await() {
	il_n=0
	until [ -e "pods/$1/status" ]; do
		if [ -e "gone/$1" ]; then break; fi
		if [ "$il_n" -ge 250 ] || [ ! -d "pods/$1" ]; then
			echo "failed the supervisor does not start: $(tail -n 3 "pods/$1/supervisor.log" 2>&1)" | tr '\n' ' '
			return
		fi
		sleep 0.04
		il_n=$((il_n + 1))
	done
	[ -e "gone/$1" ] || { echo "$il_new"; return; }
	il_remove "$1" 0 100 0 >/dev/null
	echo deleted
}

# --- delete

# il_delete UID GRACE TRIES KEEP_BYTES KEEP_MINUTES: GRACE "-" is the pod's own. Prints stopping (ask again),
# or gone and the record that is kept.
il_delete() {
	: >"gone/$1" || exit 69
	il_remove "$1" "$2" "$3" "$4" || return 0
	find kept -mindepth 1 -maxdepth 1 -mmin "+$5" -exec rm -rf {} +
	find gone -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -f {} +
	echo gone
	cat "kept/$1/facts" "kept/$1/status" "kept/$1/lost" 2>/dev/null
	:
}

il_remove() {
	[ -d "pods/$1" ] || return 0
	if ! ln -s '0 0 0' "pods/$1/claim" 2>/dev/null; then # else it was never launched, and never will be
		il_stop "$1" "$2" "$3" || { echo stopping; return 1; }
		il_check "$1"
		il_scour "$1"
		il_keep "$1" "$4"
	fi
	mv -T "pods/$1" "pods/.old.$1.$$" 2>/dev/null && il_drop "pods/.old.$1.$$"
	echo "$1" >>feed
}

# il_stop UID GRACE TRIES: tell the supervisor, and see it end within TRIES times 0.05 s.
il_stop() {
	il_grace=$2
	[ "$il_grace" != - ] || il_grace=$(. "./pods/$1/plan" && echo "$grace")
	il_until=$(($(date +%s) + il_grace)) il_told='' il_n=0
	read -r il_told 2>/dev/null <"pods/$1/stop"
	while il_supervised "$1"; do
		if [ -p "pods/$1/events" ] && [ "${il_told:-$((il_until + 1))}" -gt "$il_until" ]; then
			echo "stop $il_grace" 1<>"pods/$1/events"
			il_told=$il_until
			echo "$il_told" >"pods/$1/stop"
		fi
		if [ -n "$il_told" ] && [ "$(date +%s)" -gt $((il_told + 15)) ]; then
			kill -KILL "$il_pid" # it does not do what it was told
		fi
		[ "$il_n" -lt "$3" ] || return 1
		sleep 0.05
		il_n=$((il_n + 1))
	done
}

# --- look

# il_list [UID...]: the host's clock, then facts and records of these pods (none given: of all), deleted ones too.
il_list() {
	printf 'time\t%s\n' "$(date +%s)"
	[ $# -gt 0 ] || set -- pods/*/facts
	for il_uid; do
		il_uid=${il_uid#pods/} il_uid=${il_uid%/facts}
		[ ! -d "pods/$il_uid" ] || il_check "$il_uid"
	done
	for il_uid; do
		il_uid=${il_uid#pods/} il_uid=${il_uid%/facts}
		if [ -d "pods/$il_uid" ]; then
			printf '%s\0' "pods/$il_uid/facts" "pods/$il_uid/status" "pods/$il_uid/lost"
		elif [ -d "kept/$il_uid" ]; then
			printf '%s\0' "kept/$il_uid/kept" "kept/$il_uid/facts" "kept/$il_uid/status" "kept/$il_uid/lost"
		fi
	done | xargs -0 cat 2>/dev/null
	:
}

# il_feed: an empty line now and every five seconds; in between the UID of every pod that changes.
il_feed() {
	: >>feed
	il_size=$(wc -c <feed)
	echo
	tail -c +$((il_size + 1)) -F feed 2>/dev/null &
	il_tail=$!
	trap 'kill $il_tail 2>/dev/null' EXIT
	while sleep 5 && kill -0 "$il_tail" 2>/dev/null && echo; do :; done
}
