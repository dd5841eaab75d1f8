# il_stats FORMAT JOBS: what sstat says of the steps of these jobs, then E. A cluster that gathers no figures
# (JobAcctGatherType), or that has none yet, says nothing of them.
il_stats() {
	timeout 40 "$il_sstat" --allsteps --noheader --parsable2 --format="$1" --jobs="$2" 2>/dev/null || :
	echo E
}
