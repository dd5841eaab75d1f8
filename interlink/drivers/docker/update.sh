# Replace files of a live pod's volumes. Needs lib.sh.

# il_update UID STAMP VOLUMES...: a tar with <volume>/<STAMP>/... and links on standard input; one rename of
# ..data per volume makes the whole new content visible at once, as the kubelet does.
il_update() {
    if [ ! -d "pods/$1/vol" ]; then cat > /dev/null; echo none; return 0; fi
    vol=pods/$1/vol stamp=$2 new=tmp/update.$$
    il_lock "$1" || return 91
    mkdir "$new" && tar -xpf - -C "$new" || { rm -rf "$new"; return 91; }
    shift 2
    il_open_to_group "${vol%/vol}" "$new"
    for volume in "$@"; do
        if [ ! -d "$vol/$volume" ]; then rm -rf "$new"; echo "missing $volume"; return 0; fi
    done
    for volume in "$@"; do
        old=$(readlink "$vol/$volume/..data")
        mv -T "$new/$volume/$stamp" "$vol/$volume/$stamp" && mv -T "$new/$volume/..data" "$vol/$volume/..data" || return 91
        for link in "$new/$volume"/* "$new/$volume"/.[!.]*; do
            if [ -L "$link" ]; then mv -T "$link" "$vol/$volume/${link##*/}"; fi
        done
        for link in "$vol/$volume"/* "$vol/$volume"/.[!.]*; do
            if [ -L "$link" ] && [ ! -e "$link" ]; then rm -f "$link"; fi
        done
        if [ -n "$old" ] && [ "$old" != "$stamp" ]; then rm -rf "$vol/$volume/$old"; fi
    done
    rm -rf "$new"
    echo ok
}
