# Put a bundle into place, once, and take the pod's first step. Needs lib.sh and step.sh.

# il_create UID: `il_fill DIRECTORY` makes the bundle (parcel.py), perhaps from standard input.
# Prints `pod new|existing|deleted JID`.
il_create() {
    NOW=
    if [ -e "gone/$1" ]; then cat > /dev/null; echo "pod deleted $1"; return 0; fi
    met=existing
    if [ -d "pods/$1" ]; then cat > /dev/null; else
        new=tmp/$1.$$
        # a claim is one rename onto a name that is not there; an existing bundle makes it fail
        if ! { il_now && il_fill "$new" && printf '%s\n' "STARTED=$NOW" > "$new/state/.pod"; }; then
            if il_full; then echo "No space left on device: $PWD" >&2; fi # a shell's printf says "I/O error"
            rm -rf "$new"
            return 91
        fi
        il_open_to_group "$new" "$new/vol"
        if mv -T "$new" "pods/$1" 2> /dev/null; then met=new; else
            rm -rf "$new"
            [ -d "pods/$1" ] || return 91
        fi
    fi
    il_step "$1" "$NOW"
    code=$?
    if [ "$code" -eq 3 ]; then il_error "pods/$1/state/.err"; printf '%s\n' "$ERR" >&2; return 92; fi
    if [ "$code" -ne 0 ]; then return 91; fi
    if [ -e "gone/$1" ]; then il_undo "$1"; echo "pod deleted $1"; return 0; fi
    first=${IL_PAUSE:+_pause}
    il_load "${first:-$IL_MAINS}"
    echo "pod $met ${ID:-$1}"
}

# il_undo UID: the delete came while this was under way, and may have looked before there was anything.
il_undo() {
    exec 9>&- 8>> "locks/$1.delete"
    flock 8
    if [ -d "pods/$1" ]; then sh "$IL_BIN/delete.sh" "$IL_ENGINE" "$IL_SERVER" "$IL_VERSION" "$1" 0 0 60; fi
}
