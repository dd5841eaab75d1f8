"""Container images built from the machine's Debian packages, in memory and the same on every machine.

An image is a layer (a tar) and a configuration (JSON). Written here directly, it needs no engine, no
debootstrap and no cache: the three images below take about a tenth of a second.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.lab import process

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PASSWD = b"""root:x:0:0:root:/root:/bin/sh
user:x:1000:1000::/home/user:/bin/sh
nobody:x:65534:65534:nobody:/:/bin/false
"""
GROUP = b"root:x:0:\nuser:x:1000:\nextra:x:2000:user\nnogroup:x:65534:\n"
SHOW = b"""#!/bin/sh
# Tells how it was started: the image's entrypoint, seen from inside.
echo "args: $*"
echo "cwd: $(pwd)"
echo "user: $(id -u):$(id -g)"
env | sort
"""


@dataclass(frozen=True)
class Entry:
    """One file of a layer: a directory (no data), a file, or a symlink."""

    path: str
    mode: int = 0o755
    data: bytes | None = None
    link: str = ""
    owner: int = 0


def layer(entries: Iterable[Entry]) -> bytes:
    """A tar without times, so that the same files give the same digest."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for entry in entries:
            info = tarfile.TarInfo(entry.path)
            info.mode, info.uid, info.gid = entry.mode, entry.owner, entry.owner
            if entry.link:
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
            elif entry.data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(entry.data)
            tar.addfile(info, io.BytesIO(entry.data or b""))
    return buffer.getvalue()


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


@dataclass(frozen=True)
class Image:
    """An image with the names it is pushed under; `loaded` are those that every engine has from the start.

    They are written out in full: podman makes `busybox` a localhost/busybox, docker takes either.
    """

    tar: bytes = field(repr=False)
    settings: Mapping[str, Any]  # Cmd, Entrypoint, Env, User, WorkingDir, ...
    names: tuple[str, ...]  # in the registry: repository:tag
    loaded: tuple[str, ...] = ()  # in the engines

    @cached_property
    def config(self) -> bytes:
        return json.dumps(
            {
                "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
                "os": "linux",
                "created": "2024-01-01T00:00:00Z",
                "config": {"Env": [PATH], **self.settings},
                "rootfs": {"type": "layers", "diff_ids": [digest(self.tar)]},
                "history": [{"created": "2024-01-01T00:00:00Z", "created_by": "lab"}],
            }
        ).encode()

    @cached_property
    def blob(self) -> bytes:
        """The layer as registries hold it."""
        return gzip.compress(self.tar, compresslevel=1, mtime=0)

    @cached_property
    def manifest(self) -> bytes:
        base = "application/vnd.docker"
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": f"{base}.distribution.manifest.v2+json",
                "config": {
                    "mediaType": f"{base}.container.image.v1+json",
                    "size": len(self.config),
                    "digest": digest(self.config),
                },
                "layers": [
                    {
                        "mediaType": f"{base}.image.rootfs.diff.tar.gzip",
                        "size": len(self.blob),
                        "digest": digest(self.blob),
                    }
                ],
            }
        ).encode()


def archive(images: Iterable[Image]) -> bytes:
    """What `docker load` and `podman load` read: the images under their `loaded` names."""
    entries, index = {}, []
    for image in images:
        config, tar = (digest(data).removeprefix("sha256:") for data in (image.config, image.tar))
        entries[f"{config}.json"] = image.config
        entries[f"{tar}.tar"] = image.tar
        index.append({"Config": f"{config}.json", "RepoTags": list(image.loaded), "Layers": [f"{tar}.tar"]})
    entries["manifest.json"] = json.dumps(index).encode()
    return layer(Entry(name, 0o644, data) for name, data in entries.items())


def busybox_files() -> list[Entry]:
    """A root file system of busybox with its applets, three users and a /tmp."""
    binary = Path(process.find("busybox")).read_bytes()
    applets = subprocess.run([process.find("busybox"), "--list"], capture_output=True, text=True, check=True).stdout
    directories = ("bin", "etc", "root", "home", "usr", "usr/bin", "dev", "proc", "sys", "var", "var/tmp")
    return [
        *(Entry(path) for path in directories),
        Entry("tmp", 0o1777),
        Entry("home/user", owner=1000),
        Entry("etc/passwd", 0o644, PASSWD),
        Entry("etc/group", 0o644, GROUP),
        Entry("bin/busybox", 0o755, binary),
        *(Entry(f"bin/{name}", 0o777, link="busybox") for name in applets.split() if name != "busybox"),
        Entry("usr/bin/env", 0o777, link="../../bin/env"),
    ]


def all_images() -> list[Image]:
    """Every image of the lab."""
    files = busybox_files()
    plain = layer(files)
    shown = layer([*files, Entry("bin/show", 0o755, SHOW), Entry("work", 0o777)])
    pause = layer([Entry("pause", 0o755, Path(process.find("catatonit")).read_bytes())])
    return [
        Image(
            plain,
            {"Cmd": ["sh"]},
            names=(
                "library/busybox:1.36",
                "library/busybox:latest",
                "library/alpine:3",
                "library/alpine:3.19",
                "library/alpine:latest",
                "lab/busybox:1",
            ),
            loaded=("docker.io/library/busybox:1.36", "docker.io/library/busybox:latest"),
        ),
        Image(
            pause,
            {"Entrypoint": ["/pause", "-P"]},
            names=("pause:3.10", "lab/pause:1"),
            loaded=("registry.k8s.io/pause:3.10",),
        ),
        Image(
            shown,
            {
                "Entrypoint": ["/bin/show"],
                "Cmd": ["from", "cmd"],
                "Env": [PATH, "FROM_IMAGE=yes"],
                "User": "1000:2000",
                "WorkingDir": "/work",
            },
            names=("lab/show:1",),
            loaded=("docker.io/lab/show:1",),
        ),
        Image(
            plain, {"Cmd": ["sh"], "User": "user"}, names=("lab/named-user:1",), loaded=("docker.io/lab/named-user:1",)
        ),
        Image(plain, {}, names=("lab/no-command:1",), loaded=("docker.io/lab/no-command:1",)),
    ]
