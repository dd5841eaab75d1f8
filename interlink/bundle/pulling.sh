# What all runtimes do to have an image ready; sourced by image/NAME LIB, which sets before:
#
#   name image shown      the container, the image as the runtime takes it, and as the manifest names it
#   policy valid          Always, IfNotPresent or Never; empty if this can be no image's name
#   bare nonroot          set where neither command nor args are given; where root is not wanted
#   lib                   the directory of our scripts, LIB
#   runtime program       what fetches and runs it
#
# and sources the runtime's own script after. Exit 0: the container can be launched. In any case image/NAME.result holds
# "REASON<tab>MESSAGE", and behind another tab what became of the image if something else is wrong. Credentials are in
# pull/NAME/N, best first; `fetch`, the runtime's, pulls with one or without.
set -u
umask 077
tab='	'

verdict= # what becomes of the image

result() { printf '%s\t%s%s\n' "$1" "$2" "${3:+$tab$3}" >"image/$name.new" && mv -f "image/$name.new" "image/$name.result"; }
refuse() {
	result "$1" "$2" "$verdict"
	exit 1
}

# What a tool said last that matters, on one line.
said() {
	line=$(grep -E 'FATAL|ERROR|[Ee]rror' "$1" | tail -n 1)
	[ -n "$line" ] || line=$(tail -n 1 "$1")
	printf '%.600s' "$line" | tr '\n\t' '  ' | sed 's/^[A-Z]*: *//'
}

pull() {
	for credential in "pull/$name"/* ''; do
		[ -z "$credential" ] || [ -f "$credential" ] || continue
		! fetch "$credential" || return 0
	done
	return 1
}

[ -n "$valid" ] || refuse InvalidImageName "Failed to apply default image tag \"$shown\": invalid reference format"
case $program in
/*) [ -x "$program" ] ;;
*) command -v "$program" >/dev/null ;;
esac || refuse ErrImagePull "the runtime $program is not installed on $(uname -n)"
