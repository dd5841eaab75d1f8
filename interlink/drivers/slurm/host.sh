# What the Slurm driver does on a login node, after place.sh. Set before: il_sbatch, il_squeue, il_scancel, il_scontrol,
# il_sacct, il_unsent and il_unclear (what sbatch says when the controller got nothing, or perhaps something).
# In pods/UID, beside what the bundle and its supervisor have there:
#
#   accepted         "accepted UID TIME EXPIRES": when the pod came, and when its deadline ends ("-": never)
#   submit.N         "HOST PID BIRTH TIME": who submits for the Nth time; the first came with the bundle's rename,
#                    the others are links, as exclusive as that
#   answer.N         sbatch's code and words, if it gave no job; without it and without a job, nobody knows
#   absent.N         when the queue was first seen without the job of an unclear submission
#   job              "job UID ID TIME": the job
#   grace            seconds that a delete gives the containers; without it a TERM comes from Slurm
#   lost             "lost UID TIME REASON MESSAGE": what became of a pod whose supervisor cannot tell

il_newline='
'
il_settled=30 # seconds between two looks at the queue that show an unclear submission to have come to nothing

il_squeue_of_mine() {
	SLURM_TIME_FORMAT=%s timeout 40 "$il_squeue" --noheader --array --states=all --user="$(id -u)" "$@"
}

# il_queue ARGUMENT...: all jobs of this user, or some; then "q CODE MESSAGE".
il_queue() {
	exec 4>&1
	il_line=$(il_squeue_of_mine --format='j|%A|%T|%S|%e|%l|%r|%j' "$@" 2>&1 >&4 4>&-)
	printf 'q\t%s\t%s\n' "$?" "$(echo "$il_line" | tr '\n\t' '  ')"
	exec 4>&-
}

# --- submit

# il_stage [UID EXPIRES]...: have il_fill bring the bundles of those pods that are not there yet; sets il_fresh. The rename
# that brings them makes this process their submitter as well: it waits for the il_create of each. Prints "failed MESSAGE"
# if they cannot be written. Every process counts that is not started here: one is for all pods, and of what the shell
# can write by itself nothing else is.
il_stage() {
	il_fresh=' ' il_now=$(date +%s)
	il_is_missing "$@" || return 0
	il_unpack "$1" || exit 0
	il_me
	while [ $# -gt 1 ]; do
		il_line=-
		[ "$2" = - ] || il_line=$((il_now + $2))
		if [ -e "gone/$1" ] || [ -d "pods/$1" ]; then
			rm -rf "${il_dir:?}/$1"
		elif printf 'accepted\t%s\t%s\t%s\n' "$1" "$il_now" "$il_line" >"$il_dir/$1/accepted" &&
			echo "$il_me" >"$il_dir/$1/submit.1"; then
			il_fresh="$il_fresh$1 "
		else
			rm -rf "$il_dir"
			exit 73
		fi
		shift 2
	done
	[ "$il_fresh" = ' ' ] || mv -f "$il_dir"/* pods/ 2>/dev/null
	for il_uid in $il_fresh; do # where somebody was quicker, ours is left
		[ ! -e "$il_dir/$il_uid" ] || il_fresh="${il_fresh%%" $il_uid "*} ${il_fresh#*" $il_uid "}"
	done
	rm -rf "$il_dir"
	il_is_whole "$il_lib" && return # as in il_settle
	for il_uid in $il_fresh; do rm -rf "pods/$il_uid"; done
	exit 69
}

# il_is_missing [UID EXPIRES]...: at least one of them is neither there nor deleted.
il_is_missing() {
	while [ $# -gt 1 ]; do
		if [ ! -d "pods/$1" ] && [ ! -e "gone/$1" ]; then return 0; fi
		shift 2
	done
	return 1
}

# il_create UID ARGUMENT...: after il_stage, in a process of its own. ARGUMENTs are sbatch's. Prints pod, the UID, and new,
# existing or deleted with the job's id; or refused, later or unclear with a message.
il_create() {
	il_uid=$1 il_job='' il_new=existing
	il_verdict='later its bundle is not there'
	shift
	case $il_fresh in *" $il_uid "*) il_new=new ;; esac
	if [ ! -e "gone/$il_uid" ] && cd "pods/$il_uid" 2>/dev/null; then
		if [ "$il_new" = new ]; then
			il_n=1
			il_send "$@"
		else
			il_job=$(il_job_of .)
			[ -n "$il_job" ] || il_submit "$@"
		fi
		cd ../..
		[ -z "$il_job" ] || il_verdict="$il_new $il_job"
	fi
	if [ -e "gone/$il_uid" ]; then # whatever became of it: without its directory a job does nothing
		[ -z "$il_job" ] || timeout 40 "$il_scancel" "$il_job" 2>/dev/null
		il_remove "$il_uid" 0 40 0 >/dev/null
		il_verdict=deleted
	fi
	printf 'pod %s %.3000s\n' "$il_uid" "$il_verdict"
}

# il_job_of DIRECTORY: the pod's recorded job, if there is one.
il_job_of() {
	while IFS=$il_tab read -r il_word il_word il_line il_word; do echo "$il_line"; done 2>/dev/null <"$1/job"
	:
}

# il_me: set it to "HOST PID BIRTH TIME" of this very process; `$$` is another one in a subshell.
il_me() {
	read -r il_pid il_line </proc/self/stat
	set -- ${il_line##*') '}
	il_node
	il_me="$il_node $il_pid ${20} $il_now"
}

# Submit, in the pod's directory, unless somebody does or has done so and it is not known what came of it.
# Sets il_job, or il_verdict.
il_submit() {
	il_n=1
	while [ -e "submit.$((il_n + 1))" ]; do il_n=$((il_n + 1)); done
	il_resolve || return
	[ -z "$il_job" ] || return
	il_n=$((il_n + 1))
	if [ -L claim ]; then
		il_verdict='later the pod is ending'
	elif il_turn; then
		il_send "$@"
	elif il_resolve && [ -z "$il_job" ]; then
		il_verdict='unclear somebody else has tried to submit it'
	fi
}

# il_turn: become the Nth to submit; fails if somebody else was quicker.
il_turn() {
	il_me
	echo "$il_me" >"turn.$il_pid" && ln "turn.$il_pid" "submit.$il_n" 2>/dev/null
	set -- $?
	rm -f "turn.$il_pid"
	return "$1"
}

# il_send ARGUMENT...: whoever waits for us may be lost, and this computer too: sbatch must end by itself, and soon, or it
# might still submit what another login node has submitted meanwhile.
il_send() {
	il_out=$PWD/job.out
	case $il_out in *%*) il_out=$(printf '%s' "$il_out" | sed 's/%/%%/g') ;; esac # it means something in --output
	il_line=$({
		il_out=$(timeout -k 5 100 "$il_sbatch" "$@" --chdir="$PWD" --output="$il_out" "$PWD/job.sh" 2>&3 </dev/null)
		printf '\n%s %s' "$?" "$il_out"
	} 3>&1)
	il_out=${il_line##*"$il_newline"} il_said=${il_line%"$il_newline"*}
	il_code=${il_out%% *} il_out=${il_out#* }
	il_id=${il_out%%;*}
	case $il_code:$il_id in
	0:*[!0-9]* | 0:) il_said="sbatch answered $il_out" ;;
	0:*)
		il_record "$il_id"
		return
		;;
	esac
	printf '%s\n%s\n' "$il_code" "$il_said" >"answer.$il_n.new" && mv -f "answer.$il_n.new" "answer.$il_n"
	il_verdict=$(il_say "$(il_kind)" "$il_said")
}

# What an answer means, by il_code and il_said: ended by a signal or by `timeout`, the controller may have it.
il_kind() {
	case $il_code in
	126 | 127) echo later ;;
	0 | 12[45] | 12[89] | 1[3-9]? | 2??) echo unclear ;;
	*)
		if printf '%s' "$il_said" | grep -qF -e "$il_unsent"; then
			echo later
		elif printf '%s' "$il_said" | grep -qF -e "$il_unclear"; then
			echo unclear
		else
			echo refused
		fi
		;;
	esac
}

# il_record ID: also where it cannot be written, or is cut short, the job is known for now, and is found by its name later.
il_record() {
	il_job=$1
	printf 'job\t%s\t%s\t%s\n' "$il_uid" "$1" "$il_now" 2>/dev/null >job
	:
}

# What has come of the last submission. Fails with il_verdict while that is not known; a job that is found is
# recorded; otherwise it may be submitted again.
il_resolve() {
	if [ -e "answer.$il_n" ]; then
		{ read -r il_code && il_said=$(cat); } <"answer.$il_n"
		[ "$(il_kind)" = unclear ] || return 0
	elif il_busy; then
		il_wait=0
		while il_busy && [ "$il_wait" -lt 100 ]; do
			sleep 0.1
			il_wait=$((il_wait + 1))
		done
		il_job=$(il_job_of .)
		il_verdict='unclear somebody else submits it'
		[ -n "$il_job" ]
		return
	fi
	il_begun=$(date +%s)
	il_line=$(il_squeue_of_mine --name="$il_uid" --format=%A 2>&1) || {
		il_verdict=$(il_say unclear "$il_line")
		return 1
	}
	il_line=$(echo "$il_line" | grep -x '[0-9][0-9]*' | head -n 1)
	[ -z "$il_line" ] || { il_record "$il_line"; return 0; }
	il_first=
	read -r il_first 2>/dev/null <"absent.$il_n"
	[ -n "$il_first" ] || { echo "$il_begun" >"absent.$il_n"; il_first=$il_begun; }
	[ $((il_begun - il_first)) -lt "$il_settled" ] || return 0
	il_verdict='unclear the answer to its submission was lost, and the queue does not show it yet'
	return 1
}

# Whoever submits may still be at it: on this computer we see, of another one we believe it for as long as it may take.
il_busy() {
	il_node
	read -r il_host il_pid il_birth il_since <"submit.$il_n"
	if [ "$il_host" = "$il_node" ]; then
		il_alive "$il_pid" "$il_birth"
	else
		[ $(($(date +%s) - il_since)) -lt 200 ]
	fi
}

# --- delete

# il_delete UID GRACE TRIES KEEP_BYTES KEEP_MINUTES: GRACE "-" is the pod's own. Prints stopping (ask again), away and
# Slurm's words, or gone and the record that is kept.
il_delete() {
	: >"gone/$1" || exit 69
	il_remove "$1" "$2" "$3" "$4" || return 0
	find kept -mindepth 1 -maxdepth 1 -mmin "+$5" -exec rm -rf {} +
	find gone -mindepth 1 -maxdepth 1 -mmin +1440 -exec rm -f {} +
	find pods -mindepth 1 -maxdepth 1 -name '.old.*' -mmin +1 -exec rm -rf {} + 2>/dev/null
	echo gone
	cat "kept/$1/facts" "kept/$1/job" "kept/$1/status" "kept/$1/lost" 2>/dev/null
	:
}

il_remove() {
	[ -d "pods/$1" ] || return 0
	il_job=$(il_job_of "pods/$1")
	if ln -s '0 0 0' "pods/$1/claim" 2>/dev/null || il_unborn "$1"; then # nothing of it was started, nor will be
		il_cancel "$1" || return 1
	else
		il_stop "$1" "$2" "$3" || return 1
	fi
	il_keep "$1" "$4"
	mv -T "pods/$1" "pods/.old.$1.$$" 2>/dev/null && il_drop "pods/.old.$1.$$"
	:
}

il_unborn() { [ "$(readlink "pods/$1/claim")" = '0 0 0' ]; }

# il_cancel UID: end the job at once, and see it gone.
il_cancel() {
	[ -n "$il_job" ] || { il_find "$1" || return 1; }
	[ -n "$il_job" ] || return 0
	il_line=$(timeout 40 "$il_scancel" "$il_job" 2>&1) || { il_say away "$il_line"; return 1; }
	il_n=0
	until il_is_gone; do
		[ "$il_n" -lt 8 ] || { il_say stopping; return 1; }
		sleep 0.2
		il_n=$((il_n + 1))
	done
}

il_say() { echo "$@" | tr '\n' ' '; }

# il_find UID: a job whose id was never recorded.
il_find() {
	[ -e "pods/$1/submit.1" ] || return 0
	il_line=$(il_squeue_of_mine --name="$1" --format=%A 2>&1) || { il_say away "$il_line"; return 1; }
	il_job=$(echo "$il_line" | grep -x '[0-9][0-9]*' | head -n 1)
}

# The queue does not show the job as alive. A squeue that fails says nothing, unless it knows that there is no such job.
il_is_gone() {
	[ -n "$il_job" ] || return 0
	if il_line=$(timeout 40 "$il_squeue" --noheader --jobs="$il_job" --format=%T 2>&1); then
		[ -z "$il_line" ]
	else
		case $il_line in *[Ii]nvalid*job*) ;; *) return 1 ;; esac
	fi
}

il_is_over() {
	[ ! -e "pods/$1/lost" ] || return 0
	IFS=$il_tab read -r il_word il_word il_word il_word il_word il_word il_word il_word il_over il_word \
		2>/dev/null <"pods/$1/status" && [ "$il_over" = yes ]
}

# il_stop UID GRACE TRIES: tell the supervisor by a signal and a note, and see it end within TRIES times 0.05 s.
il_stop() {
	il_grace=$2
	[ "$il_grace" != - ] || il_grace=$(. "./pods/$1/plan" && echo "$grace")
	il_now=$(date +%s) il_told='' il_n=0
	read -r il_told 2>/dev/null <"pods/$1/stop"
	if [ "${il_told:-$((il_now + il_grace + 1))}" -gt $((il_now + il_grace)) ] && ! il_is_over "$1"; then
		{ echo "$il_grace" >"pods/$1/grace.new" && mv -f "pods/$1/grace.new" "pods/$1/grace"; } 2>/dev/null || {
			[ -d "pods/$1" ] || return 0 # another delete was quicker
			exit 73
		}
		timeout 40 "$il_scancel" --state=PENDING "$il_job" 2>/dev/null # requeued, perhaps
		if ! il_line=$(timeout 40 "$il_scancel" --batch --signal=TERM "$il_job" 2>&1) && ! il_is_gone; then
			il_say away "$il_line"
			return 1
		fi
		il_told=$((il_now + il_grace))
		echo "$il_told" >"pods/$1/stop"
	fi
	until il_is_over "$1" && il_is_gone; do
		[ -d "pods/$1" ] || return 0
		if [ "$(date +%s)" -gt $((${il_told:-$il_now} + 20)) ]; then # it does not do what it was told
			timeout 40 "$il_scancel" "$il_job" 2>/dev/null
			if il_is_gone; then break; fi
		fi
		[ "$il_n" -lt "$3" ] || { il_say stopping; return 1; }
		sleep 0.05
		il_n=$((il_n + 1))
	done
	il_is_over "$1" || il_note "$1" SupervisorLost 'the job ended without a word about its containers'
}

# --- the end of a pod whose supervisor cannot tell

# il_lose UID REASON MESSAGE ...: nobody will start or restart these containers any more; write down why. Prints the records.
il_lose() {
	il_all=
	while [ $# -ge 3 ]; do
		if [ -d "pods/$1" ] && ! il_is_over "$1"; then
			ln -s '0 0 0' "pods/$1/claim" 2>/dev/null && il_job=$(il_job_of "pods/$1") && [ -n "$il_job" ] &&
				timeout 40 "$il_scancel" "$il_job" 2>/dev/null
			il_note "$1" "$2" "$3"
			rm -rf "pods/$1/start" "pods/$1/volumes"
		fi
		il_all="$il_all $1"
		shift 3
	done
	il_show $il_all
}

il_note() {
	printf 'lost\t%s\t%s\t%s\t%s\n' "$1" "$(date +%s)" "$2" "$3" >"pods/$1/lost.$$" && mv -f "pods/$1/lost.$$" "pods/$1/lost"
}

# --- look

# il_tick MINUTES: the clock, the queue, the names of all pods, and the records that changed in the last MINUTES
# ("all": all of them). Files are opened by name: on NFS that is fresh, where listings and times may lag a minute.
il_tick() {
	printf 'time\t%s\n' "$(date +%s)"
	il_queue
	ls pods | sed 's/^/p	/'
	if [ "$1" = all ]; then
		ls pods
	else
		find pods -mindepth 2 -maxdepth 2 \( -name status -o -name job -o -name lost -o -name accepted \) -mmin "-$1" |
			sed 's|^pods/||; s|/.*||' | sort -u
	fi | il_files pods
}

# il_files DIRECTORY <UIDs: their records.
il_files() {
	sed "s|.*|$1/&/kept $1/&/facts $1/&/accepted $1/&/job $1/&/status $1/&/lost|" | tr ' \n' '\0\0' | xargs -0 cat 2>/dev/null
	:
}

# il_show UID...: the clock and the records of these, deleted ones too.
il_show() {
	printf 'time\t%s\n' "$(date +%s)"
	for il_uid; do [ ! -d "pods/$il_uid" ] || echo "$il_uid"; done | il_files pods
	for il_uid; do [ -d "pods/$il_uid" ] || [ ! -d "kept/$il_uid" ] || echo "$il_uid"; done | il_files kept
}

# il_history ID...: what Slurm remembers of jobs that its queue does not show: "h|ID|STATE|START|END|CODE".
il_history() {
	il_line=$(echo "$*" | tr ' ' ',')
	if SLURM_TIME_FORMAT=%s timeout 40 "$il_sacct" --noheader --parsable2 --allocations --jobs="$il_line" \
		--format=JobIDRaw,State,Start,End,ExitCode 2>/dev/null | sed 's/^/h|/' | grep .; then return 0; fi
	for il_job; do
		timeout 10 "$il_scontrol" --oneliner show job "$il_job" 2>/dev/null
	done | sed -n 's/^JobId=\([0-9]*\) .*JobState=\([A-Z_]*\) .*ExitCode=\([0-9:]*\) .*StartTime=\([^ ]*\) .*EndTime=\([^ ]*\) .*/h|\1|\2|\4|\5|\3/p'
	:
}
