# What all drivers of supervised pods do on a host. Every call goes to il_root, reads this file and the driver's own
# host.sh, and is one verb. In il_root: il_lib, which is bin/VERSION (our scripts), pods/UID (bundles), gone/UID
# (tombstones), kept/UID (records of deleted pods), feed (a line with the UID for every change of a pod). POSIX sh with
# coreutils; dash, bash, busybox.
set -u
umask 077
il_tab='	'

# il_node: set it to the name of this computer.
il_node() { read -r il_node </proc/sys/kernel/hostname; }

# il_is_whole DIRECTORY: it has all of our scripts; file systems for scratch data remove what has not been read for long.
il_is_whole() {
	while read -r il_file; do
		[ -f "$1/$il_file" ] || return 1
	done 2>/dev/null <"$1/manifest"
}

il_prepare() {
	il_is_whole "$il_lib" || exit 69
	mkdir -p pods gone kept && [ -w . ] || exit 69
	[ ! -e feed ] || [ "$(wc -c <feed)" -lt 1048576 ] || { mv feed feed.old && : >>feed; }
	find pods -mindepth 1 -maxdepth 1 -name '.*' -mmin +60 -exec rm -rf {} +
}

# il_alive PID BIRTH: this very process exists and is no zombie.
il_alive() {
	il_line=
	read -r il_line 2>/dev/null <"/proc/$1/stat" || return 1
	set -- "$2" ${il_line##*') '}
	[ "$2" != Z ] && [ "${21}" = "$1" ]
}

# --- bundles

# il_unpack NAME: have il_fill (bundle/parcel.py) make a directory of its own, il_dir, before anything is put in its place.
# Prints "failed MESSAGE" if it cannot.
il_unpack() {
	il_node
	il_dir=pods/.new.$1.$il_node.$$
	[ ! -e "$il_dir" ] || rm -rf "$il_dir"
	if il_line=$(il_fill "$il_dir" 2>&1); then return; fi
	il_line="$il_line $(head -c 65536 /dev/zero 2>&1 >"$il_dir/room")" # of a full disk a shell says "I/O error" at most
	rm -rf "$il_dir"
	echo "failed $il_line" | tr '\n' ' '
	return 1
}

# il_settle UID: the rename is the claim: whoever comes second finds the pod there.
il_settle() {
	if mv -T "$il_dir" "pods/$1" 2>/dev/null; then il_new=new; else rm -rf "$il_dir"; fi
	# Whoever removes our scripts (install.sh) looks for pods that use them after they are out of sight: so this looks
	# after the pod is in sight.
	[ "$il_new" != new ] || il_is_whole "$il_lib" || { rm -rf "pods/$1"; exit 69; }
}

# il_drop DIRECTORY: remove it, even though somebody just writes a last file there.
il_drop() {
	for il_n in 1 2 3 4 5; do
		if rm -rf "$1" 2>/dev/null; then return; fi
		sleep 0.2
	done
}

# --- deleted pods

# il_keep UID BYTES: the last record, and the end of every log.
il_keep() {
	[ -e "pods/$1/status" ] || [ -e "pods/$1/lost" ] || return 0
	[ ! -d "kept/$1" ] && il_dir=$(mktemp -d kept/.new.XXXXXX) || return 0
	printf 'kept\t%s\n' "$1" >"$il_dir/kept"
	for il_file in plan facts job status lost; do
		[ ! -e "pods/$1/$il_file" ] || cp "pods/$1/$il_file" "$il_dir"
	done
	mkdir "$il_dir/logs"
	for il_file in "pods/$1/logs"/*; do
		case $il_file in
		*.times | *'*') ;;
		*) il_keep_log "$il_file" "$2" ;;
		esac
	done
	mv -T "$il_dir" "kept/$1" 2>/dev/null || rm -rf "$il_dir"
}

il_keep_log() {
	il_cut=$(($(wc -c <"$1") - $2))
	[ "$il_cut" -gt 0 ] || il_cut=0
	tail -c +$((il_cut + 1)) "$1" >"$il_dir/logs/${1##*/}"
	awk -v cut="$il_cut" '$2 > cut { print $1, $2 - cut }' "$1.times" >"$il_dir/logs/${1##*/}.times" 2>/dev/null
	[ "$il_cut" = 0 ] || echo "$il_cut" >"$il_dir/logs/${1##*/}.cut"
}

# --- files

# il_update UID STAMP VOLUME... <tar: swap the contents of live volumes. Prints ok, or "none NAME".
il_update() {
	il_pod=pods/$1 il_stamp=$2
	shift 2
	for il_volume; do
		[ -L "$il_pod/volumes/$il_volume/..data" ] || { echo "none $il_volume"; return; }
	done
	il_dir=$(mktemp -d "$il_pod/.new.XXXXXX") || exit 69
	if tar -xpf - -C "$il_dir"; then
		for il_volume; do il_swap "$il_dir/$il_volume" "$il_pod/volumes/$il_volume" || il_stamp=; done
	else
		il_stamp=
	fi
	rm -rf "$il_dir"
	[ -n "$il_stamp" ] || exit 73
	echo ok
}

# il_swap NEW OLD: contents first, then the one rename that everybody sees, then the names.
il_swap() {
	il_old=$(readlink "$2/..data")
	mv -T "$1/$il_stamp" "$2/$il_stamp" && mv -T "$1/..data" "$2/..data" || return
	for il_file in "$1"/* "$1"/.[!.]*; do
		[ ! -L "$il_file" ] || mv -f "$il_file" "$2/"
	done
	for il_file in "$2"/* "$2"/.[!.]*; do
		[ ! -L "$il_file" ] || [ -e "$il_file" ] || rm -f "$il_file"
	done
	rm -rf "${2:?}/${il_old:?}"
}
