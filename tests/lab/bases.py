"""Images to build others on, of what Debian has installed on this machine: neither docker nor a build needs a network.

The lab's engines reach no package index. `python` therefore holds, in /wheels, what pip would have fetched; whoever
builds on it finds that by its /etc/pip.conf, and writes nothing about it in a Dockerfile.
"""

from __future__ import annotations

import configparser
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.lab import gomodule, place, process
from tests.lab.images import PATH, Entry, Image, layer

ROOT = Path(__file__).parents[2]
PYTHON = Path("/usr/bin/python3")
PYTHON_BASE, HOST_BASE = "interlink-lab/python:1", "interlink-lab/host:1"

SHELL = ("dash", "coreutils", "tar", "gzip", "mawk", "sed", "grep", "findutils", "libc-bin", "hostname")
UNWANTED = re.compile(
    r"usr/share/(doc|man|locale|lintian|bug|info|bash-completion|menu)\b|/(test|idlelib|tkinter|gconv)/"
)
PASSWD = b"root:x:0:0:root:/root:/bin/sh\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n"
PASSWD += b"nobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
GROUP = b"root:x:0:\nnogroup:x:65534:\nusers:x:100:\n"
PIP_CONF = b"[global]\nno-index = true\nfind-links = /wheels\ndisable-pip-version-check = true\n"


def python() -> Image:
    """An image with this Debian's Python, pip for its virtual environments, and interLink's requirements as wheels."""
    name = PYTHON.resolve().name  # such as python3.11
    packages = (f"{name}-minimal", f"lib{name}-minimal", f"lib{name}-stdlib", f"{name}-venv")
    libraries = ("libc6", "libgcc-s1", "libstdc++6")  # of compiled wheels
    files = [
        *_packaged(*SHELL, *packages, *libraries, "python3-pip-whl", "python3-setuptools-whl", "media-types"),
        PYTHON,
    ]
    found = [Entry(f"wheels/{path.name}", 0o644, path.read_bytes()) for path in sorted(wheels().glob("*.whl"))]
    return _image(PYTHON_BASE, files, [Entry("wheels"), *found, Entry("etc/pip.conf", 0o644, PIP_CONF)])


def host() -> Image:
    """An image with sshd, a docker client, and the tools of any Debian host."""
    programs = ("sshd", "ssh-keygen", "docker", "useradd", "usermod", "groupadd", "flock", "setsid", "ps")
    directory = "/usr/sbin:/usr/bin"  # Debian's, whatever else comes first on this machine's PATH
    found = [shutil.which(program, path=directory) for program in programs]
    return _image(HOST_BASE, [*_packaged(*SHELL), *(Path(path) for path in found if path)], [])


def _image(name: str, files: Iterable[Path], more: Iterable[Entry]) -> Image:
    merged = [Entry(path, 0o777, link=f"usr/{path}") for path in ("bin", "sbin", "lib", "lib64")]
    own = [*merged, *map(Entry, ("etc", "root", "home", "var", "var/lib", "run", "proc", "sys", "dev"))]
    own += [Entry("tmp", 0o1777), Entry("usr/bin/awk", 0o777, link="mawk")]
    own += [Entry("etc/passwd", 0o644, PASSWD), Entry("etc/group", 0o644, GROUP), Entry("etc/shadow", 0o600, b"")]
    entries = {entry.path: entry for entry in [*_entries(_with_libraries(files)), *own, *more]}
    settings = {"Cmd": ["sh"], "Env": [PATH]}
    return Image(layer(entries[path] for path in sorted(entries)), settings, names=(), loaded=(name,))


def _packaged(*packages: str) -> Iterator[Path]:
    """Yield the files of installed packages."""
    done = subprocess.run(["dpkg", "-L", *packages], capture_output=True, text=True, check=False)
    if done.returncode:
        raise process.LabError(f"install: apt-get install python3-venv {' '.join(packages)}\n{done.stderr}")
    for line in done.stdout.splitlines():
        if line.startswith(("/usr/", "/bin/", "/sbin/", "/lib", "/etc/")) and not UNWANTED.search(line):
            yield Path(line)


def _with_libraries(files: Iterable[Path]) -> set[Path]:
    """Add the shared libraries of all programs and modules."""
    found = set(files)
    compiled = [str(path) for path in found if _is_compiled(path)]
    said = subprocess.run(["ldd", *compiled], capture_output=True, text=True, check=False).stdout
    return found | {Path(path) for path in re.findall(r"(/\S+) \(0x", said)}


def _is_compiled(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def _entries(files: Iterable[Path]) -> Iterator[Entry]:
    """Yield files where they are since Debian merged /bin into /usr/bin, and the files that symlinks lead to."""
    for path in files:
        here = path.parent.resolve() / path.name
        if here.is_symlink():
            yield Entry(_inside(here), 0o777, link=os.readlink(here))
        if here.is_file():
            found = here.resolve()
            yield Entry(_inside(found), stat.S_IMODE(found.stat().st_mode) & 0o755, found.read_bytes())
        elif here.is_dir() and not here.is_symlink() and here.parts[1] == "usr":
            yield Entry(_inside(here))


def _inside(path: Path) -> str:
    return str(path).lstrip("/")


def wheels() -> Path:
    """Return a directory with the wheels of interLink's requirements for Debian's Python; fetched once."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    wanted = [*parser["options"]["install_requires"].split(), "setuptools>=68", "wheel"]
    version = PYTHON.resolve().name.removeprefix("python")
    digest = hashlib.sha256("\n".join([version, *wanted]).encode()).hexdigest()
    target = gomodule.home() / ".cache/interlink/wheels" / digest[:16]
    target.parent.mkdir(parents=True, exist_ok=True)
    with place.lock(target.parent / "lock"):
        if not target.exists():
            scratch = Path(tempfile.mkdtemp(prefix="making.", dir=target.parent))
            _fetch(scratch, version, wanted)
            scratch.rename(target)
    return target


def _fetch(directory: Path, version: str, wanted: list[str]) -> None:
    argv = [sys.executable, "-m", "pip", "download", "-q", "--only-binary=:all:", f"--python-version={version}"]
    done = subprocess.run([*argv, "-d", str(directory), *wanted], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(directory)
        raise process.LabError(f"pip download: {done.stderr[-2000:]}")
