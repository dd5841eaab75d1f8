"""`build` and `push`: the images of server and virtual kubelet, from a checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from invoke.context import Context

from interlink.errors import CommandFailed, InputError
from interlink.tasks.command import command

IMAGES = ("server", "kubelet")
_HELP = {
    "registry": "what stands before the names, such as registry.example.org/lab",
    "tag": "the images' tag",
    "engine": "docker or podman",
}


def name(image: str, registry: str, tag: str) -> str:
    """Return an image's whole name.

    >>> name("server", "", "latest"), name("kubelet", "registry.example.org/lab/", "1.2")
    ('interlink-server:latest', 'registry.example.org/lab/interlink-kubelet:1.2')
    """
    prefix = f"{registry.rstrip('/')}/" if registry else ""
    return f"{prefix}interlink-{image}:{tag}"


@command(help={**_HELP, "base": "an image with Python 3.10 or newer, instead of the one in the Dockerfiles"})
def build(_: Context, registry: str = "", tag: str = "latest", engine: str = "docker", base: str = "") -> None:
    """Build the images of the server and the virtual kubelet, from the checkout in this directory."""
    root = Path.cwd()
    for image in IMAGES:
        file = root / f"deploy/Dockerfile.{image}"
        if not file.is_file():
            raise InputError(f"{file} is not there: build in the root of a checkout of interLink")
        arguments = [f"--build-arg=BASE={base}"] if base else []
        _run(engine, "build", *arguments, "-f", str(file), "-t", name(image, registry, tag), str(root))


@command(help=_HELP)
def push(_: Context, registry: str = "", tag: str = "latest", engine: str = "docker") -> None:
    """Publish the images that `build` has made, to the registry in their names."""
    if not registry:
        raise InputError("where to? give --registry, such as registry.example.org/lab")
    for image in IMAGES:
        _run(engine, "push", name(image, registry, tag))


def _run(engine: str, *arguments: str) -> None:
    program = shutil.which(engine)
    if program is None:
        raise InputError(f"there is no {engine} here: install it, or name another by --engine")
    code = subprocess.run([program, *arguments], stdin=subprocess.DEVNULL, check=False, env=os.environ).returncode
    if code:
        raise CommandFailed(f"{engine} {arguments[0]} ended with {code}; its words are above", code=code)
