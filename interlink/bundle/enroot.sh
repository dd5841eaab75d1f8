# What enroot does to have an image ready: a squashfs; see pulling.sh and cache.sh.
#
# Leaves in image/NAME.rc what the image starts without a command, if it says so, and in image/NAME.workdir where.

download() { # CREDENTIAL FILE
	if [ -n "$1" ]; then
		export ENROOT_CONFIG_PATH="$PWD/image/$name.conf"
		mkdir -p "$ENROOT_CONFIG_PATH" && cp "$1" "$ENROOT_CONFIG_PATH/.credentials" || return 1
		read -r _ _ _ user _ <"$1"
		image=docker://$user@${image#docker://}
	fi
	export ENROOT_CACHE_PATH="$cache/tool/cache/blob"
	mkdir -p "$ENROOT_CACHE_PATH" && exec "$program" import --output "$2" -- "$image"
}

# An image of enroot's own making enters its directory and starts its entrypoint (docker::configure there); the directory
# is for the start to say. What somebody wrote instead is started as it is.
ready() { # PATH
	command -v unsquashfs >/dev/null || refuse CreateContainerError "unsquashfs is not installed on $(uname -n)"
	printf '%s\n' "$1" >"image/$name.path"
	rm -rf "image/$name.root" "image/$name.conf"
	unsquashfs -no-xattrs -d "image/$name.root" "$1" etc/rc >"image/$name.out" 2>&1
	rc=image/$name.root/etc/rc
	[ -f "$rc" ] || rc=/dev/null
	sed -n 's/^cd "\(.*\)" && unset OLDPWD || exit 1$/\1/p' "$rc" | head -n 1 >"image/$name.workdir" &&
		sed -e '/^mkdir -p ".*" 2> \/dev\/null$/d' -e 's/^cd ".*" && unset OLDPWD || exit 1$/:/' "$rc" >"image/$name.rc" ||
		refuse CreateContainerError "cannot write what the image starts: is the disk full?"
	rm -rf "image/$name.root"
	[ -z "$bare" ] || [ -s "image/$name.rc" ] || refuse CreateContainerError "no command specified"
}

same_in_tool() { return 1; }
