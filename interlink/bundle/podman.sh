# Has one container's image ready for podman, or says why it is not; see pulling.sh. More variables:
#
#   user           runAsUser, empty if the image's own user is meant
#
# Leaves the image's id in image/NAME.id, its user in image/NAME.user, its stop signal in image/NAME.stop, and in
# image/NAME.cgroups whether containers get cgroups of their own. Images are the node's: each has podman's storage there.

fetch() { # AUTHFILE
	id=$("$program" pull --quiet ${1:+--authfile "$1"} -- "$image" 2>"image/$name.out" 9>&- </dev/null) || return 1
	id=${id##*"
"}
}

present() { id=$("$program" image inspect --format '{{.Id}}' -- "$image" 2>/dev/null); }

lock() { # one pull on a node at a time; podman itself waits only for the layers, and fetches each image again
	exec 9>>"../../podman.$(uname -n).lock" && command -v flock >/dev/null && flock 9
	:
}

ready() {
	said=$("$program" image inspect --format \
		'{{.Config.User}};{{.Config.StopSignal}};{{len .Config.Entrypoint}}{{len .Config.Cmd}}' -- "$id") || return 1
	own=${said%%;*} said=${said#*;}
	own=${own%%:*}
	own=${own:-0}
	if [ -n "$bare" ] && [ "${said#*;}" = 00 ]; then refuse CreateContainerError "no command specified"; fi
	[ -z "$nonroot" ] || judge "${user:-$own}"
	printf '%s\n' "$id" >"image/$name.id"
	printf '%s\n' "$own" >"image/$name.user"
	printf '%s\n' "${said%%;*}" >"image/$name.stop"
	# A batch system counts and ends what is in the job's own cgroup; only crun can leave it there.
	case $("$program" info --format '{{.Host.OCIRuntime.Name}}') in
	*crun*) echo disabled ;;
	*) echo enabled ;;
	esac >"image/$name.cgroups"
}

judge() { # USER: runAsNonRoot holds for it
	case $1 in
	0 | root) refuse CreateContainerConfigError "container has runAsNonRoot and image will run as root" ;;
	*[!0-9]*) refuse CreateContainerConfigError "container has runAsNonRoot and image has non-numeric user ($1), cannot verify user is non-root" ;;
	esac
}

[ "${nonroot:+$user}" != 0 ] || refuse CreateContainerConfigError "container's runAsUser breaks non-root policy"
[ "$policy" = Always ] || present || lock
if [ "$policy" != Always ] && present; then
	verdict="Container image \"$shown\" already present on machine"
elif [ "$policy" = Never ]; then
	refuse ErrImageNeverPull "Container image \"$shown\" is not present with pull policy of Never"
elif pull; then
	verdict="Successfully pulled image \"$shown\""
else
	refuse ErrImagePull "Failed to pull image \"$shown\": $(said "image/$name.out")"
fi
ready 2>"image/$name.out" || refuse CreateContainerError "$(said "image/$name.out")"
rm -f "image/$name.out"
result Pulled "$verdict"
