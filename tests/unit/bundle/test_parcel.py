"""A bundle written by a shell is the bundle that its tar would unpack to."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlink.bundle import parcel, tar
from interlink.remote import shell

SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
ODD = b'it\'s $(odd) `x` "y" \\ \\n %s\t\n\n-n\n'


def tree(directory: Path) -> dict[str, tuple[str, int, bytes]]:
    """Return kind, mode and contents of everything in a directory."""
    found = {}
    for path in sorted(directory.rglob("*")):
        mode = path.lstat().st_mode
        if path.is_symlink():
            found[str(path.relative_to(directory))] = "link", 0, os.readlink(path).encode()
        else:
            content = path.read_bytes() if path.is_file() else b""
            found[str(path.relative_to(directory))] = "file" if path.is_file() else "dir", stat.S_IMODE(mode), content
    return found


def filled(packed: parcel.Parcel, directory: Path, command: list[str]) -> dict[str, tuple[str, int, bytes]]:
    script = f"umask 077\n{packed.text}\nil_fill {shell.quote(str(directory))} || exit 7\n"
    subprocess.run([*command, "-c", script], input=packed.archive, check=True, timeout=60)
    return tree(directory)


MIXED = [
    tar.Directory("state", 0o700),
    tar.File("plan.sh", ODD),
    tar.File("c/it's.sh", b"IL_X='1'\n"),
    tar.File("empty", b""),
    tar.Directory("vol/a", 0o2755),
    tar.File("vol/a/plain", b"in a directory that others read\n", 0o644),
    tar.File("vol/a/0600", b"the same\n", 0o600),
    tar.Link("vol/a/..data", "..1"),
    tar.File("env/c", "A=\u00e9\n".encode()),
    tar.File("nul", b"a\0b"),
    tar.File("cr", b"a\r\n"),
    tar.File("large", b"x" * (parcel.FILE_BYTES + 1)),
]


@pytest.mark.parametrize("name", SHELLS)
def test_every_shell_fills_a_directory(name: str, tmp_path: Path) -> None:
    if shutil.which(SHELLS[name][0]) is None:
        pytest.skip(f"{name} is not installed")
    found = filled(parcel.pack(MIXED), tmp_path / "new", SHELLS[name])
    for entry in MIXED:
        if isinstance(entry, tar.File):
            assert found[entry.path] == ("file", entry.mode, entry.data)
    assert found["state"] == ("dir", 0o700, b"")
    assert found["vol/a"][:2] == ("dir", 0o2755)
    assert found["vol/a/..data"] == ("link", 0, b"..1")
    assert {path for path in found if "/" not in path} == {e.path.partition("/")[0] for e in MIXED}


def test_a_plain_bundle_needs_no_tar() -> None:
    packed = parcel.pack([tar.Directory("state", 0o700), tar.File("plan.sh", ODD)])
    assert packed.archive == b""
    assert "tar" not in packed.text


def test_no_end_of_files_makes_the_text_too_long() -> None:
    packed = parcel.pack(tar.File(f"f{number}", b"x" * 10_000) for number in range(100))
    assert len(packed.text) < 2 * parcel.TEXT_BYTES
    assert len(packed.archive) > 900_000


def test_a_directory_that_is_there_is_not_filled(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    with pytest.raises(subprocess.CalledProcessError):
        filled(parcel.pack([tar.File("plan.sh", b"x")]), tmp_path / "new", ["sh"])
    assert tree(tmp_path / "new") == {}


TEXTS = st.text(alphabet="ab'\"\\$`\n\t %!-", max_size=60).map(str.encode)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.binary(max_size=60) | st.text(alphabet="ab'\"\\$`\n\t %!-", max_size=60).map(str.encode), max_size=5)
)
def test_any_bytes_arrive(contents: list[bytes]) -> None:
    entries = [tar.File(f"d/f{number}", data) for number, data in enumerate(contents)]
    directory = Path(os.environ["HOME"]) / f"new{os.urandom(8).hex()}"
    found = filled(parcel.pack(entries), directory, ["sh"])
    assert {path: data for path, (kind, _, data) in found.items() if kind == "file"} == {
        e.path: e.data for e in entries
    }
    shutil.rmtree(directory)


def test_what_lies_on_the_host_already_stays_there() -> None:
    shelf = parcel.Shelf("bin/1", {"same.sh": b"of all pods\n", "other.sh": b"of all pods\n", "unused.sh": b"x"})
    other = tar.File("other.sh", b"of this pod alone\n")
    entries = [tar.Directory("same.sh.d"), tar.File("same.sh", b"of all pods\n"), other, tar.Link("link", "same.sh")]
    assert list(shelf.spare(entries)) == [tar.File("lib", b"bin/1\n"), entries[0], other, entries[3]]
