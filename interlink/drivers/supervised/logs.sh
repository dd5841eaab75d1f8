# How a container's log is read, by all drivers of supervised pods. Comes after the driver's own script.
# A log may be followed for days on a login node: while it is silent, that costs three processes a second.
il_tab='	'

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
	il_look
	il_attempt=$((${il_number:-0} - il_back))
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

# il_look: read the record without starting a process: il_is, il_number = the state and the attempt of the container,
# il_over = "yes" once the pod has ended; all empty while there is no record.
il_look() {
	il_is='' il_number='' il_over=''
	{ while IFS= read -r il_line; do
		case $il_line in
		"pod$il_tab"*)
			il_line=${il_line%"$il_tab"*}
			il_over=${il_line##*"$il_tab"}
			;;
		"c$il_tab$il_index$il_tab"*)
			il_line=${il_line#c"$il_tab$il_index$il_tab"}
			il_is=${il_line%%"$il_tab"*} il_line=${il_line#*"$il_tab"}
			il_number=${il_line%%"$il_tab"*}
			;;
		esac
	done <"$il_dir/status"; } 2>/dev/null
}

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
		il_last=
		! il_ceased || il_last=yes
		il_end=$(il_size)
		if [ "$il_end" -gt "$il_offset" ]; then
			tail -c +$((il_offset + 1)) "$il_dir/$il_log" | head -c $((il_end - il_offset)) || return
			il_offset=$il_end il_pause=0.1
		else
			[ -z "$il_last" ] || return 0
			sleep "$il_pause"
			[ "$il_pause" != 0.4 ] || il_pause=1
			[ "$il_pause" != 0.2 ] || il_pause=0.4
			[ "$il_pause" != 0.1 ] || il_pause=0.2
		fi
	done
}

# The attempt that is followed can write no more.
il_ceased() {
	if [ "$il_dir" != "pods/$il_uid" ] || [ -e "$il_dir/lost" ]; then return 0; fi
	[ -e "$il_dir/status" ] || return 1 # its supervisor has not begun: a job may wait for days
	il_look
	if [ "$il_number" != "$il_attempt" ]; then [ -d "$il_dir" ]; return; fi # else it is being deleted: see il_moved
	case $il_is:$il_over in ended:* | waiting:* | *:yes) ;; *) return 1 ;; esac
}

# The pod may be deleted while it is followed: its log goes on in kept/, cut at the front perhaps.
il_moved() {
	[ "$il_dir" = "pods/$il_uid" ] && [ ! -d "$il_dir" ] || return 0
	il_dir=kept/$il_uid
	il_cut=0
	[ ! -e "$il_dir/$il_log.cut" ] || read -r il_cut <"$il_dir/$il_log.cut"
	il_offset=$((il_offset > il_cut ? il_offset - il_cut : 0))
}
