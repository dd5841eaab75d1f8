# Pull the image of one container in the background, then step its pod: pull.sh ENGINE SERVER VERSION UID CONTAINER
# Pulls of one image are serialised; whoever comes second finds it there.
IL_ENGINE=$1 IL_SERVER=$2 IL_VERSION=$3
. "./bin/$3/lib.sh"
. "./bin/$3/step.sh"

# il_fetch CONFIG: pull with the credentials in this directory, or with none
il_fetch() {
    case $IL_ENGINE:$1 in
        *:) "$IL_ENGINE" pull -q "$IL_IMAGE" ;;
        podman:*) podman pull -q --authfile "$1/config.json" "$IL_IMAGE" ;;
        *) docker --config "$1" pull -q "$IL_IMAGE" ;;
    esac
}

il_pod "$4" || exit 0
C=$5
exec 7>> "locks/pull.$U.$C" && flock -n 7 || exit 0
. "./$P/c/$C.sh"
exec 8>> "locks/image.$IL_KEY" && flock 8
if [ -e "gone/$U" ]; then exit 0; fi
err=$P/state/.$C.err out=$P/state/.$C.pull result=ErrImagePull ERR=
if [ "$IL_PULL" != Always ] && "$IL_ENGINE" image inspect "$IL_IMAGE" > /dev/null 2>&1; then
    result=ok ERR="Container image \"$IL_IMAGE\" already present on machine"
else
    # each credential that fits, then without one
    set -- ''
    for config in "$P/pull/$C"/*; do if [ -d "$config" ]; then set -- "$config" "$@"; fi; done
    for config in "$@"; do
        if il_fetch "$config" > /dev/null 2> "$err"; then result=ok ERR="Successfully pulled image \"$IL_IMAGE\""; break; fi
        il_error "$err"
    done
    rm -f tmp/user.*
fi
rm -f "$err"
printf '%s\n' "$result" "$ERR" > "$out" && mv -f "$out" "$P/state/$C.pull"
exec 8>&- 7>&-
il_step "$U"
