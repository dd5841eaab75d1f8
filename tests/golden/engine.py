"""A docker daemon with a registry on its loopback: where the images of the cases are made, and pods may run."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from tests.golden import images
from tests.golden.directory import Golden
from tests.lab import shared
from tests.lab.docker import Dockerd
from tests.lab.hosts import PAUSE_IMAGE
from tests.lab.network import Namespace
from tests.lab.registry import Registry

PORT = 5000  # where the cases look for the registry, on the loopback of the host


def claim(lab: shared.Lab, directory: Path) -> Namespace:
    """Take a network namespace that is swept with this private directory, should this process be killed."""
    namespace = lab.network.claim()
    with (directory / shared.NAMESPACES).open("a") as record:
        record.write(f"{namespace.name}\n")
    return namespace


@contextlib.contextmanager
def registry(golden: Golden, directory: Path, namespace: Namespace) -> Iterator[Registry]:
    """Serve the images of the cases, as far as they have been made."""
    store = images.cache(golden)
    store.mkdir(parents=True, exist_ok=True)
    made = Registry(directory / "registry", namespace, PORT, data=store / "registry", everywhere=True)
    made.start(())
    try:
        yield made
    finally:
        made.stop()


@contextlib.contextmanager
def daemon(lab: shared.Lab, golden: Golden, directory: Path, namespace: Namespace) -> Iterator[Dockerd]:
    """Run an engine beside the registry; the images are made by it unless they are there."""
    dockerd = Dockerd(directory / "docker", namespace, f"127.0.0.1:{PORT}")
    try:
        dockerd.start([image for image in lab.images if PAUSE_IMAGE in image.loaded])
        images.make(golden, dockerd, images.cache(golden))
        yield dockerd
    finally:
        dockerd.close()
