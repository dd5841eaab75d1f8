"""Scripts on a machine, and directories and files there as steps want them: atomic, repeatable, quoted."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from interlink.deploy.steps import Difference, Finding
from interlink.errors import CommandFailed
from interlink.remote import shell
from interlink.remote.connection import Connection

_CURES = {
    "Permission denied": "log in as a user who may write there, or choose another directory in the inventory",
    "Read-only file system": "choose a directory on a file system that can be written",
    "No space left on device": "free some space there",
    "Disk quota exceeded": "free some space there, or ask for a larger quota",
    "Not a directory": "something else has that name: move it away, or choose another directory in the inventory",
    "File exists": "something else has that name: move it away, or choose another directory in the inventory",
}


def cured(message: str) -> str:
    """Return a tool's complaint with what mends it, where that is known."""
    cure = next((cure for symptom, cure in _CURES.items() if symptom in message), "")
    return f"{message}; {cure}" if cure else message


def run(connection: Connection, script: str, *, stdin: bytes = b"", timeout: float = 180.0, what: str = "") -> str:
    """Run a script and return its output; CommandFailed with its complaint and, where known, the cure."""
    result = connection.run(script, stdin=stdin, timeout=timeout)
    if result.code:
        said = cured(_last_lines(result.error_text) or f"ended with {result.code}")
        raise CommandFailed(f"{what}: {said}" if what else said, code=result.code, stderr=result.error_text)
    return result.text


def _last_lines(text: str) -> str:
    return " / ".join(line.strip() for line in text.splitlines() if line.strip())[-600:]


@dataclass(frozen=True)
class Directory:
    """A directory that only its owner may enter, writable for us."""

    connection: Connection
    path: str

    def look(self) -> Finding:
        """See whether it is there, ours, closed to others, and writable."""
        said = run(
            self.connection,
            f"d={shell.path(self.path)}\n"
            'if [ ! -e "$d" ]; then echo missing; exit 0; fi\n'
            '[ -d "$d" ] || { echo "$d: Not a directory" >&2; exit 1; }\n'
            '[ -O "$d" ] || { echo "$d belongs to $(ls -ld "$d" | awk \'{print $3}\'), not to $(id -un):'
            ' Permission denied" >&2; exit 1; }\n'
            'case $(ls -ld "$d") in drwx------*) ;; *) echo open; exit 0 ;; esac\n'
            'p=$d/.interlink.$$; (: > "$p") && rm -f "$p" || exit 1\n'
            "echo fine\n",
        ).strip()
        if said == "fine":
            return Finding(self.path)
        return Finding(differences=(Difference(f"directory {self.path}", said, "0700"),))

    def mend(self) -> None:
        """Make it; those above it are made as the user's umask has it."""
        run(
            self.connection,
            f'd={shell.path(self.path)}\nmkdir -p "${{d%/*}}" && (umask 077; mkdir -p "$d") && chmod 700 "$d"\n',
        )


@dataclass(frozen=True)
class File:
    """A file with a content and a mode; replaced as a whole, so that nobody ever reads half of it."""

    path: str
    content: bytes = field(repr=False)
    mode: int = 0o600
    secret: bool = False  # its content is never shown

    @property
    def stamp(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def files_look(connection: Connection, files: tuple[File, ...]) -> Finding:
    """Compare files there with the wanted ones, in one round trip."""
    lines = [
        "look() {",
        '  if [ -f "$1" ]; then stat -c %a "$1"; base64 < "$1" | tr -d "\\n"; echo; else echo -; fi',
        "}",
    ]
    lines += [f"look {shell.path(file.path)}" for file in files]
    answer = run(connection, "\n".join(lines)).split("\n")
    differences = []
    for file in files:
        mode = answer.pop(0)
        now = base64.b64decode(answer.pop(0)) if mode != "-" else None
        if now == file.content and mode == f"{file.mode:o}":
            continue
        differences.append(_file_difference(file, now, mode))
    return Finding(f"{len(files)} files", tuple(differences))


def _file_difference(file: File, now: bytes | None, mode: str) -> Difference:
    what = f"{file.path} ({file.mode:04o})"
    if now == file.content:
        return Difference(what, f"mode {mode}\n", f"mode {file.mode:o}\n")
    if file.secret:
        return Difference(f"{what}, secret")
    return Difference(what, (now or b"").decode("utf-8", "replace"), file.content.decode("utf-8", "replace"))


def files_mend(connection: Connection, files: tuple[File, ...]) -> None:
    """Write the files, each by a temporary one and a rename; their contents travel on stdin."""
    script = ["set -e", "umask 077"]
    for file in files:
        path = shell.path(file.path)
        script += [
            f"t={path}.new",
            f'head -c {len(file.content)} > "$t"',
            f'[ "$(wc -c < "$t")" -eq {len(file.content)} ] || {{ echo "$t: No space left on device" >&2; exit 1; }}',
            f'chmod {file.mode:o} "$t"',
            f'mv -f "$t" {path}',
        ]
    run(connection, "\n".join(script) + "\n", stdin=b"".join(file.content for file in files))
