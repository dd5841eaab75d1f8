# What apptainer and singularity do to have an image ready; see pulling.sh and cache.sh.
#
# Leaves the image's own settings as shell in image/NAME.oci.

download() { # CREDENTIAL FILE
	[ -z "$1" ] || . "./$1"
	export APPTAINER_CACHEDIR="$cache/tool" SINGULARITY_CACHEDIR="$cache/tool"
	exec "$program" pull --force "$2" "$image"
}

ready() { # PATH
	printf '%s\n' "$1" >"image/$name.path"
	settings "$1" >"image/$name.oci" 2>/dev/null
	if [ -n "$bare" ] && ! runs_by_itself "$1"; then
		refuse CreateContainerError "no command specified"
	fi
}

# The image's own settings, made for `.`; a directory or an image without them has none.
settings() {
	oci_entrypoint= oci_cmd= oci_workdir= oci_stop=
	[ -f "$1" ] && "$program" sif list "$1" 2>/dev/null | sed -n 's/^\([0-9]*\) .*JSON.Generic.*/\1/p' | {
		while read -r id; do
			"$program" sif dump "$id" "$1" 2>/dev/null >"image/$name.json" || continue
			! head -c 8 "image/$name.json" | grep -q '"data"' || continue
			LC_ALL=C awk -f "$lib/oci.awk" <"image/$name.json" && break
		done
	}
	rm -f "image/$name.json"
	:
}

# Without a command there must be an entrypoint or, in an image that was not made from another, a runscript.
runs_by_itself() {
	(
		. "./image/$name.oci"
		[ -n "${oci_entrypoint:-}${oci_cmd:-}" ]
	) || { [ ! -s "image/$name.oci" ] && [ -e "$1" ]; }
}

# The runtime keeps what it has converted by the image's digest: share that file, and its name.
same_in_tool() {
	for found in "$cache"/tool/cache/oci-tmp/* "$cache"/tool/cache/oras/*; do
		[ -f "$found" ] && cmp -s "$found" "$1" || continue
		ln -f "$found" "$1" 2>/dev/null
		echo "${found##*/}"
		return
	done
	return 1
}
