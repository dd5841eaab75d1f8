# Put our scripts where calls find them; a tar of them is on standard input. After place.sh.

# il_install DIRECTORY: make it in il_root, with all of them or not at all, and dated as of now.
il_install() {
	mkdir -p "$il_root/bin" && cd "$il_root" && [ -w . ] || exit 69
	il_sweep "$1"
	if ! il_is_whole "$1"; then
		il_new=$(mktemp -d bin/.new.XXXXXX) && tar -xmpf - -C "$il_new" || {
			rm -rf "$il_new"
			exit 73
		}
		[ ! -e "$1" ] || mv -T "$1" "$il_new.old"
		mv -T "$il_new" "$1" 2>/dev/null || rm -rf "$il_new"
		rm -rf "$il_new.old"
	fi
	il_is_whole "$1" || exit 69
}

# il_sweep DIRECTORY: other versions go when they are a day old and no pod uses them; a server that still runs with one
# brings it back. First out of sight, then looked for: a pod that comes meanwhile is seen here, or sees it missing.
il_sweep() {
	find bin -mindepth 1 -maxdepth 1 -name '.*' -cmin +60 -exec rm -rf {} +
	find bin -mindepth 1 -maxdepth 1 ! -name '.*' ! -path "$1" -mmin +1440 | while read -r il_old; do
		if il_is_used "$il_old"; then continue; fi
		il_aside=bin/.old.${il_old#bin/}
		mv -T "$il_old" "$il_aside" || continue
		if il_is_used "$il_old"; then mv -T "$il_aside" "$il_old"; else rm -rf "$il_aside"; fi
	done
} 2>/dev/null

il_is_used() { find pods -mindepth 2 -maxdepth 3 -name lib -exec grep -lxF "$1" {} + | grep -q .; }
