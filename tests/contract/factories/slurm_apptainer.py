"""Slurm with Apptainer, over a real sshd of a login node, by an ordinary user."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.contract.factories import slurm
from tests.contract.support import Rig
from tests.lab.hosts import TEST_IMAGE
from tests.lab.sshd import PLAIN_USER

NAME = "slurm-apptainer"
MARKS = (pytest.mark.lab,)
FEATURES = slurm.FEATURES | {"images", "mounts"}


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    account = request.getfixturevalue("hpc").login("login1")
    files = request.getfixturevalue("tmp_path_factory").mktemp(account.name)
    with slurm.slurm_rig(account, files, {"interlink_image_cache": f"/home/{PLAIN_USER}/images"}) as made:
        yield dataclasses.replace(made, features=FEATURES, image=TEST_IMAGE)
