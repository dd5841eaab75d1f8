# Releases of our services: each a virtual environment of its own; libraries are shared by those that need the same ones.
# POSIX sh, sourced before one of these calls. Set by the caller: il_base, il_python, il_release, il_wheel (a file name),
# il_libraries (a name; "" where pip has to fetch them), il_script (the text of the release's command).

il_dir=$il_base/releases/$il_release
il_libs=$il_base/libraries/$il_libraries

# Only one installs at a time; the lock ends with the script.
il_alone() {
    umask 077
    mkdir -p "$il_base/releases" "$il_base/libraries" || return 1
    exec 9>"$il_base/lock" || return 1
    if command -v flock >/dev/null 2>&1 && ! flock -w 900 9; then
        echo "another deployment has been at work in $il_base for 15 minutes" >&2
        return 1
    fi
}

# Whether the release is there, and the libraries that it would use.
il_present() {
    if [ -f "$il_dir/complete" ]; then echo release; fi
    if [ -n "$il_libraries" ] && [ -f "$il_libs/complete" ]; then echo libraries; fi
}

# Unpack the libraries, a compressed tar on stdin.
il_unpack() {
    il_alone || return 1
    [ ! -f "$il_libs/complete" ] || return 0
    rm -rf "$il_libs" && mkdir "$il_libs" || return 1
    (cd "$il_libs" && gzip -dc | tar -xof -) 9>&- || return 1
    : > "$il_libs/complete"
}

# Install the release, whose wheel is on stdin; what an earlier attempt has left goes first.
il_install() {
    il_alone || return 1
    [ ! -f "$il_dir/complete" ] || return 0
    mkdir -p "$il_base/wheels" && cat > "$il_base/wheels/$il_wheel" || return 1
    il_linked || il_fetched || return 1
    : > "$il_dir/complete" || return 1
    rm -rf "$il_base/wheels"
    il_prune
}

# With our libraries: no pip, no package index.
il_linked() {
    [ -n "$il_libraries" ] && [ -f "$il_libs/complete" ] || return 1
    rm -rf "$il_dir" && "$il_python" -m venv --without-pip "$il_dir" 9>&- || return 1
    il_site=$("$il_dir/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))') || return 1
    ln -s "../../libraries/$il_libraries" "$il_dir/libraries" || return 1
    printf '%s\n' "$il_dir/libraries" > "$il_site/interlink-libraries.pth" || return 1
    "$il_python" -m zipfile -e "$il_base/wheels/$il_wheel" "$il_site" 9>&- || return 1
    printf '%s\n' "$il_script" > "$il_dir/bin/interlink" && chmod 755 "$il_dir/bin/interlink" || return 1
    il_works
}

# By pip, from the package index of the machine.
il_fetched() {
    rm -rf "$il_dir" && "$il_python" -m venv "$il_dir" 9>&- || return 1
    "$il_dir/bin/python" -m pip install -q --no-compile --disable-pip-version-check \
        "$il_base/wheels/$il_wheel" 9>&- || return 1
    il_works
}

# Everything that the services import can be loaded; compiled on the way, so that their first start is quick.
il_works() {
    "$il_dir/bin/python" -c 'import interlink.cli, interlink.kubelet.main, interlink.tasks.serving' 9>&-
}

# Two older releases stay for a rollback, and the libraries of all that stay; what is in use is never among the rest.
il_prune() {
    cd "$il_base/releases" || return 1
    for il_old in $(ls -1t | tail -n +4); do
        case "$(readlink ../current) $(readlink ../previous)" in *"$il_old"*) ;; *) rm -rf "$il_old" ;; esac
    done
    il_used=$(for il_each in */libraries; do readlink "$il_each"; done)
    for il_old in ../libraries/*/; do
        il_old=${il_old%/}
        case $il_used in *"/${il_old##*/}"*) ;; *) rm -rf "$il_old" ;; esac
    done
}
