# Print what the processes of pods use, after usage.sh. A process of a pod carries IL_CONTAINER=UID/NAME/ATTEMPT in
# its environment. Lines: those of il_usage, then what grep prints of /proc/PID/environ, stat and smaps_rollup, E.
il_usage
il_marks=$(grep -szHoE '^IL_CONTAINER=.*' /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n')
if [ -n "$il_marks" ]; then
	printf '%s\n' "$il_marks"
	printf '%s\n' "$il_marks" | sed -n 's|^\(/proc/[0-9]*\)/environ:.*|\1/stat \1/smaps_rollup|p' |
		xargs -n 1000 grep -sHE '^[0-9]+ \(|^Pss:' /dev/null
fi
echo E
