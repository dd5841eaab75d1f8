# Has one container's image ready as a file in a cache, or says why it is not; see pulling.sh. More variables:
#
#   key            names the image in the cache, whatever characters it has
#   cache limit    directory of converted images, and the bytes that it may take (0: any)
#
# Leaves what to run in image/NAME.path. The runtime's own script, sourced before, has `download CREDENTIAL FILE`,
# `ready FILE`, which looks at what is to run, and `same_in_tool FILE`: the digest by which the runtime knows it, if it does.
#
# In the cache: ref/KEY is a link to sif/DIGEST, use/DIGEST.UID one to each bundle that uses it, lock makes
# conversions wait for each other, so that none is made twice; tool/ is the runtime's own cache.
present() { [ -e "$cache/ref/$key" ]; }

# Take the image's file into use, for as long as this pod may start containers.
use() {
	file=$(readlink -f "$cache/ref/$key") && [ -e "$file" ] || return 1
	ln -sfn "$PWD" "$cache/use/${file##*/}.${PWD##*/}" 2>/dev/null
	touch -a "$file" 2>/dev/null
	[ -e "$file" ] && ready "$file"
}

lock() { # waits for its turn where the file system has locks; where not, renames alone keep things right
	exec 9>>"$cache/lock" && command -v flock >/dev/null && flock 9
	:
}

# One pull, with a credential or without: the file goes to the cache under its digest.
fetch() { # CREDENTIAL
	new=$cache/tmp/$key.$$
	(download "$1" "$new") >"image/$name.out" 2>&1 9>&- </dev/null || {
		rm -f "$new"
		return 1
	}
	digest=$(same_in_tool "$new") || digest=$(sha256sum <"$new" | cut -c 1-64)
	if [ -e "$cache/sif/$digest" ]; then rm -f "$new"; else mv -f "$new" "$cache/sif/$digest"; fi
	ln -sfn "../sif/$digest" "$cache/tmp/$key.link.$$" && mv -fT "$cache/tmp/$key.link.$$" "$cache/ref/$key"
	touch "$cache/sif/$digest"
}

# Make room: first what the runtime keeps for itself, then images that no pod uses, the longest unused first.
prune() {
	[ "$limit" -gt 0 ] || return 0
	find "$cache/tmp" -mindepth 1 -mmin +1440 -exec rm -rf {} +
	while [ $(($(du -sk "$cache" | cut -f 1) * 1024)) -gt "$limit" ]; do
		if [ -n "$(ls -A "$cache/tool/cache/blob" 2>/dev/null)" ]; then
			rm -rf "$cache/tool/cache/blob"
			continue
		fi
		oldest=$(ls -tur "$cache/sif" | while read -r old; do used "$old" || { echo "$old" && break; }; done)
		[ -n "$oldest" ] || return 0
		rm -f "$cache/sif/$oldest" "$cache/tool/cache"/*/"$oldest"
	done
}

used() { # DIGEST
	[ "$1" != "${file##*/}" ] || return 0
	for mark in "$cache/use/$1".*; do
		[ ! -d "$mark/start" ] || return 0
		rm -f "$mark"
	done
	return 1
}

convert() {
	mkdir -p "$cache/ref" "$cache/sif" "$cache/use" "$cache/tmp" 2>"image/$name.out" ||
		refuse ErrImagePull "$(said "image/$name.out")"
	: >"image/$name.began"
	verdict="Container image \"$shown\" already present on machine"
	if present && [ "$policy" != Always ] && use; then
		result Pulled "$verdict"
		return
	fi
	[ "$policy" != Never ] ||
		refuse ErrImageNeverPull "Container image \"$shown\" is not present with pull policy of Never"
	lock
	if present && { [ "$policy" != Always ] || [ "$cache/ref/$key" -nt "image/$name.began" ]; } && use; then
		result Pulled "$verdict"
	elif pull && verdict="Successfully pulled image \"$shown\"" && use; then
		result Pulled "$verdict"
		prune
	else
		refuse ErrImagePull "Failed to pull image \"$shown\": $(said "image/$name.out")"
	fi
	exec 9>&-
	rm -f "image/$name.began" "image/$name.out"
}

if [ -n "$nonroot" ] && [ "$(id -u)" = 0 ]; then
	refuse CreateContainerConfigError "container has runAsNonRoot and would run as root, as this host's user does"
fi
case $image in
/*)
	[ -e "$image" ] || refuse ErrImagePull "Failed to pull image \"$shown\": there is no $image on $(uname -n)"
	verdict="Container image \"$shown\" already present on machine"
	ready "$image"
	result Pulled "$verdict"
	;;
*) convert ;;
esac
