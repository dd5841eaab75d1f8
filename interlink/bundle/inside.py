"""What runs inside a container before its command, in the image's own shell; pure."""

from __future__ import annotations

from interlink.bundle.tar import Directory, Entry, File

# `__il_found PROGRAM` succeeds where the container has it; some shells take a directory of that name for it.
FOUND = """\
__il_found() {
	local IFS=: directory
	case $1 in
	*/*) if [ -f "$1" ] && command -v "$1" >/dev/null; then return 0; else return 1; fi ;;
	esac
	for directory in $PATH; do
		if [ -f "$directory/$1" ] && command -v "$directory/$1" >/dev/null; then return 0; fi
	done
	return 1
}
"""


def entries(name: str, start: str, script: str) -> tuple[Entry, ...]:
    """Return a container's files: what starts it on the host, what is read inside, and the box that both see."""
    return (
        File(f"start/{name}", start.encode()),
        File(f"start/{name}.inside", script.encode()),
        Directory(f"box/{name}", 0o700),
    )
