# il_stats: print what the processes of pods use, after usage.sh and place.sh. A process is a pod's if it carries
# IL_CONTAINER=UID/NAME/ATTEMPT in its environment, or is of the session in which a container was started, or descends
# from one that is: a runtime overwrites its own environment, and inside its container there is the pod's alone.
# Lines: "P" and the bytes of a page; "S UID NAME SESSION" of what runs; what grep prints of /proc/PID/environ, stat
# (of everybody's) and smaps_rollup; those of il_usage; E.
il_stats() {
	printf 'P %s\n' "$(getconf PAGESIZE 2>/dev/null || echo 4096)"
	il_marks=$(il_sessions; grep -szHoE '^IL_CONTAINER=.*' /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n')
	if [ -n "$il_marks" ]; then
		printf '%s\n' "$il_marks"
		printf '%s\n' /proc/[0-9]*/stat | xargs -n 1000 grep -sHE '^[0-9]+ \(' /dev/null
		for il_dir in /proc/[0-9]*; do
			if [ -O "$il_dir" ]; then echo "$il_dir/smaps_rollup"; fi
		done | xargs -n 1000 grep -sHE '^Pss:' /dev/null
	fi
	il_usage
	echo E
}

il_sessions() {
	for il_dir in pods/*/; do
		il_uid=${il_dir#pods/}
		awk -F '\t' -v uid="${il_uid%/}" '
			FILENAME ~ /plan$/ && /^name_[0-9]+=/ { split(substr($0, 6), word, "="); name[word[1]] = word[2] }
			$1 == "c" && $3 == "running" { print "S", uid, name[$2], $5 }' "${il_dir}plan" "${il_dir}status" 2>/dev/null
	done | while read -r il_word il_uid il_name il_session; do
		# podman's own session is no part of the container, whose processes carry the mark
		[ -s "pods/$il_uid/box/$il_name/stands" ] || echo "S $il_uid $il_name $il_session"
	done
}
