"""Images of jobs: converted once for all, pulled with the pod's secrets, kept within a size."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from interlink.model.status import Phase, Waiting
from tests.contract.factories import slurm, slurm_apptainer
from tests.contract.support import Box, Rig, container, wait
from tests.lab.hosts import TEST_IMAGE
from tests.lab.hpc.cluster import HpcCluster
from tests.lab.registry import PASSWORD, USER
from tests.lab.sshd import PLAIN_USER

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
AT_ONCE = 10  # a conversion is needed by so many pods together; a busy machine takes minutes for fifty
SAME = "registry.lab/lab/busybox:1"  # another name of what TEST_IMAGE names
OTHER = "registry.lab/lab/show:1"
PRIVATE = "private.lab/lab/busybox:1"
# Apptainer itself, which leaves a line for every image that it is told to fetch.
COUNTING = """#!/bin/sh
[ "$1" != pull ] || echo "$*" >>"{pulls}"
exec apptainer "$@"
"""


@dataclass
class Site:
    """A rig with an image cache of its own."""

    rig: Rig
    cache: Path
    counted: Path

    @property
    def pulls(self) -> list[str]:
        """What the runtime was told to fetch, in order."""
        return self.counted.read_text().splitlines() if self.counted.exists() else []

    @property
    def images(self) -> set[str]:
        """The digests of the images that are kept."""
        return {path.name for path in self.cache.glob("*/sif/*")}


@pytest.fixture
def at(hpc: HpcCluster, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Sites whose cache is empty: `at(interlink_image_cache_size=1)`."""
    with ExitStack() as stack:
        yield lambda **variables: stack.enter_context(_site(hpc, tmp_path, variables))


@contextmanager
def _site(hpc: HpcCluster, files: Path, variables: dict[str, Any]) -> Iterator[Site]:
    name, home = f"images-{uuid4()}", f"/home/{PLAIN_USER}"
    program, counted = (hpc.home / f"{name}.{end}" for end in ("apptainer", "pulls"))
    program.write_text(COUNTING.format(pulls=f"{home}/{counted.name}"))
    program.chmod(0o755)
    own = {"interlink_image_cache": f"{home}/{name}", "interlink_runtime_path": f"{home}/{program.name}"}
    host = hpc.login("login1")
    try:
        with slurm.slurm_rig(host, files, {**own, **variables}) as made:
            rig = replace(made, features=slurm_apptainer.FEATURES, image=TEST_IMAGE)
            yield Site(rig, hpc.home / name, counted)
    finally:
        host.run("rm", "-rf", name, program.name, counted.name)


def test_an_image_that_many_pods_need_at_once_is_converted_once(at: Callable[..., Site]) -> None:
    site = at()
    with ExitStack() as stack:
        requests = [site.rig.pod(Box("echo here")) for _ in range(AT_ONCE)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            runs = list(pool.map(lambda request: stack.enter_context(site.rig.launch(request)), requests))
        for run in runs:
            assert run.ended().phase is Phase.SUCCEEDED
            assert run.log() == b"here\n"
    assert len(site.pulls) == 1
    assert len(site.images) == 1


def test_names_of_one_image_share_its_file(at: Callable[..., Site]) -> None:
    site = at()
    for image in (TEST_IMAGE, SAME):
        with site.rig.run(Box("true", more={"image": image})) as run:
            assert run.ended().phase is Phase.SUCCEEDED
    assert len(site.pulls) == 2
    assert len(site.images) == 1


def test_a_private_image_takes_the_pods_secret(at: Callable[..., Site]) -> None:
    site = at()
    box = Box("echo let in", more={"image": PRIVATE})
    with site.rig.run(box) as run:
        status = run.until(lambda s: _waits(s, "ErrImagePull", "ImagePullBackOff"), "the registry wants a password")
        state = container(status, "main").state
        assert isinstance(state, Waiting)
        assert PRIVATE in state.message
    assert site.images == set()
    config = json.dumps({"auths": {"private.lab": {"username": USER, "password": PASSWORD}}}).encode()
    secret = {"metadata": {"name": "pull"}, "data": {".dockerconfigjson": base64.b64encode(config).decode()}}
    with site.rig.run(box, imagePullSecrets=[{"name": "pull"}], secrets=[secret]) as run:
        assert run.ended().phase is Phase.SUCCEEDED
        assert run.log() == b"let in\n"
    assert PASSWORD not in "".join(site.pulls)


def test_a_full_cache_loses_what_no_pod_uses(at: Callable[..., Site]) -> None:
    site = at(interlink_image_cache_size=1)
    with site.rig.run(Box("sleep 1000", run="forever")) as used:
        used.running()
        (first,) = site.images
        with site.rig.run(Box("true", more={"image": OTHER})) as run:
            run.ended()
        assert first in site.images, "the image of a running pod"
        assert len(site.images) == 2
    with site.rig.run(Box("true", more={"image": "registry.lab/lab/no-command:1"})) as run:
        run.ended()
        wait(lambda: len(site.images) == 1, "nobody uses the others")
        assert first not in site.images


def _waits(status: Any, *reasons: str) -> bool:
    state = container(status, "main").state
    return isinstance(state, Waiting) and state.reason in reasons
