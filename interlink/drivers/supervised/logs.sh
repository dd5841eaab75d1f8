# How a container's log is read, by all drivers of supervised pods. Comes after the driver's own script.

# il_log UID NAME BACK TAIL SINCE FOLLOW TIMES ATTEMPT: BACK 1 is the attempt before,
# ATTEMPT that very one or "-"; TAIL lines or "-"; SINCE
# seconds of the epoch, "+" and seconds ago, or "-"; FOLLOW and TIMES "yes" or "-". Prints "none MESSAGE", or "log NOW OFFSET",
# with TIMES the index (lines "TIME SIZE"), "." alone on a line, and then the log from OFFSET on.
il_log() {
	il_uid=$1 il_name=$2 il_back=$3 il_dir=pods/$1
	[ -d "$il_dir" ] || il_dir=kept/$1
	[ -e "$il_dir/plan" ] || { echo "none there is no such pod"; return; }
	il_name=${il_name:-$(il_only_main)}
	[ -n "$il_name" ] || { echo "many"; return; }
	il_index=$(il_index_of "$il_name") || { echo "none the pod has no container $2"; return; }
	il_attempt=$(il_field 4)
	il_attempt=$((${il_attempt:-0} - il_back))
	[ "$8" = - ] || il_attempt=$8
	[ "$il_attempt" -ge 0 ] || { echo "none previous terminated container \"$il_name\" not found"; return; }
	il_log=logs/$il_name.$il_attempt
	il_since=$5
	case $5 in +*) il_since=$(($(date +%s) - ${5#+})) ;; esac
	il_offset=$(il_start "$4" "$il_since")
	printf 'log %s %s\n' "$(date +%s)" "$il_offset"
	[ "$7" != yes ] || cat "$il_dir/$il_log.times" 2>/dev/null
	echo .
	if [ "$6" = yes ]; then il_follow; else tail -c +$((il_offset + 1)) "$il_dir/$il_log" 2>/dev/null; fi
	:
}

il_only_main() { sed -n "s/^kind_\([0-9]*\)=main$/name_\1/p" "$il_dir/plan" | {
	read -r il_first && ! read -r il_word && sed -n "s/^$il_first=//p" "$il_dir/plan"
}; }

# The index of a container, by its name.
il_index_of() (
	. "./$il_dir/plan" 2>/dev/null || exit 1
	il_n=0
	while [ "$il_n" -lt "$count" ]; do
		eval "il_word=\$name_$il_n"
		[ "$il_word" != "$1" ] || { echo "$il_n"; exit; }
		il_n=$((il_n + 1))
	done
	exit 1
)

# il_field N: a field of the container's line in the record.
il_field() { awk -F '\t' -v i="$il_index" -v n="$1" '$1 == "c" && $2 == i { print $n }' "$il_dir/status" 2>/dev/null; }

il_size() { stat -c %s "$il_dir/$il_log" 2>/dev/null || echo 0; }

# il_start TAIL SINCE: the offset at which both begin, whichever is later.
il_start() {
	il_from=0
	if [ "$2" != - ]; then
		il_from=$(awk -v since="$2" '$1 >= since { exit } { size = $2 } END { print size + 0 }' "$il_dir/$il_log.times" 2>/dev/null)
		[ "$(stat -c %Y "$il_dir/$il_log" 2>/dev/null || echo 0)" -ge "$2" ] || il_from=$(il_size)
	fi
	if [ "$1" != - ]; then
		il_tail=$(il_last_lines "$1")
		[ "$il_tail" -le "${il_from:-0}" ] || il_from=$il_tail
	fi
	echo "${il_from:-0}"
}

# Where the last lines begin. A log that grows under our hands is measured again, and cut at last.
il_last_lines() {
	for il_n in 1 2 3 4 5; do
		il_before=$(il_size)
		[ "$1" != 0 ] || { echo "$il_before"; return; }
		il_bytes=$(tail -n "$1" "$il_dir/$il_log" 2>/dev/null | wc -c)
		[ "$(il_size)" != "$il_before" ] || { echo $((il_before - il_bytes)); return; }
	done
	echo $((il_before - $(head -c "$il_before" "$il_dir/$il_log" | tail -n "$1" | wc -c)))
}

# Print what comes, in pieces, until this attempt has ended and nothing is left, or nobody reads.
il_follow() {
	trap 'exit 0' PIPE
	il_pause=0.1
	while :; do
		il_moved
		il_state=$(il_now)
		il_end=$(il_size)
		if [ "$il_end" -gt "$il_offset" ]; then
			tail -c +$((il_offset + 1)) "$il_dir/$il_log" | head -c $((il_end - il_offset)) || return
			il_offset=$il_end il_pause=0.1
		else
			[ "$il_state" != over ] || return
			sleep "$il_pause"
			[ "$il_pause" != 0.4 ] || il_pause=1
			[ "$il_pause" != 0.2 ] || il_pause=0.4
			[ "$il_pause" != 0.1 ] || il_pause=0.2
		fi
	done
}

# "over" once the attempt that is followed can write no more.
il_now() {
	if [ "$il_dir" != "pods/$il_uid" ] || [ -e "$il_dir/lost" ]; then
		echo over
		return
	fi
	[ -e "$il_dir/status" ] || return 0 # its supervisor has not begun: a job may wait for days
	if [ "$(il_field 4)" != "$il_attempt" ]; then
		echo over
		return
	fi
	case $(il_field 3):$(awk -F '\t' '$1 == "pod" { print $9 }' "$il_dir/status") in
	ended:* | waiting:* | *:yes) echo over ;;
	esac
}

# The pod may be deleted while it is followed: its log goes on in kept/, cut at the front perhaps.
il_moved() {
	[ "$il_dir" = "pods/$il_uid" ] && [ ! -d "$il_dir" ] || return 0
	il_dir=kept/$il_uid
	il_cut=0
	[ ! -e "$il_dir/$il_log.cut" ] || read -r il_cut <"$il_dir/$il_log.cut"
	il_offset=$((il_offset > il_cut ? il_offset - il_cut : 0))
}
