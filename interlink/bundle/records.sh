# What the supervisor writes for others to read: the record, its events, and the index of every log.

# status: "pod SEQ PID BIRTH BOOT BORN ENDING OVER IP", then per container
# "c INDEX STATE ATTEMPT PID STARTED FINISHED CODE REASON LAST MESSAGE" and what it has left as messages,
# "m INDEX ATTEMPT BASE64", then the last events "e NUMBER TIME TYPE REASON NAME MESSAGE"; tabs between, "-" for nothing.
# LAST is "CODE REASON STARTED FINISHED" of the attempt before.
show() {
	printf 'c\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$i" "$state" "$attempt" "${pid:--}" "${started:--}" \
		"${finished:--}" "$code" "${reason:--}" "${last:--}" "${message:--}"
	[ -z "$said" ] || printf 'm\t%s\t%s\t%s\n' "$i" "$attempt" "$said"
	[ -z "$before" ] || printf 'm\t%s\t%s\t%s\n' "$i" "$((attempt - 1))" "$before"
}

write() {
	printf 'pod\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n' "$uid" "$seq" "$$" "$me" "$boot" "$born" "${ending:--}" \
		"${over:--}" "${ip:--}" && each show && printf '%s' "$told" && echo end
}

save() {
	seq=$((seq + 1)) unsaved=
	if ! { write >status.new && mv -f status.new status; } 2>/dev/null; then
		unsaved=yes
		return
	fi
	[ ! -e ../../feed ] || echo "$uid" >>../../feed
}

# tell TYPE REASON MESSAGE: an event of the container at hand. The record holds the last sixteen.
tell() {
	unsaved=yes
	events=$((events + 1))
	clock
	told="${told}e$tab$events$tab$now$tab$1$tab$2$tab$name$tab$3
"
	[ "$events" -le 16 ] || told=${told#*"
"}
}

# What a log holds by now goes into its index, with the time of the last write.
mark() {
	eval "size=\$size_$i"
	[ -s "logs/$name.$attempt" ] || return 0
	set -- $(stat -c '%Y %s' "logs/$name.$attempt" 2>/dev/null)
	[ $# = 2 ] && [ "$2" != "$size" ] || return 0
	echo "$1 $2" >>"logs/$name.$attempt.times"
	eval "size_$i=\$2"
	beat=1
}

look_at_running() {
	[ "$state" = running ] || return 0
	mark
	if [ ! -d "box/$name" ]; then tell_start; elif [ -e "box/$name/stands" ] && [ ! -e "box/$name/refused" ]; then tell_start; fi
}

# Look at the containers and their logs every second while something is written, else less and less often, up to 16 s.
tick() {
	beat=$((beat < 16 ? beat * 2 : 16))
	each look_at_running
	[ -n "$over" ] || later "$beat" tick
}
