# Print what the processes of pods use, after usage.sh. A process of a pod carries IL_CONTAINER=UID/NAME/ATTEMPT in
# its environment, or descends from one that does: within a runtime's container the environment is the pod's alone.
# Lines: those of il_usage, then what grep prints of /proc/PID/environ, stat (of everybody's) and smaps_rollup, E.
il_usage
il_marks=$(grep -szHoE '^IL_CONTAINER=.*' /proc/[0-9]*/environ 2>/dev/null | tr '\0' '\n')
if [ -n "$il_marks" ]; then
	printf '%s\n' "$il_marks"
	printf '%s\n' /proc/[0-9]*/stat | xargs -n 1000 grep -sHE '^[0-9]+ \(' /dev/null
	for il_dir in /proc/[0-9]*; do
		if [ -O "$il_dir" ]; then echo "$il_dir/smaps_rollup"; fi
	done | xargs -n 1000 grep -sHE '^Pss:' /dev/null
fi
echo E
