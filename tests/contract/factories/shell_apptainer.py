"""The shell driver with Apptainer, over a real sshd of a workstation that has no scheduler."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlink.model.host import Host
from interlink.remote.pool import Pool
from tests.contract.factories import shell_local
from tests.contract.support import Rig
from tests.lab.hosts import TEST_IMAGE

NAME = "shell-apptainer"
MARKS = (pytest.mark.lab,)
FEATURES = shell_local.FEATURES | {"images", "mounts"}


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    account = request.getfixturevalue("hpc").workstation
    files = request.getfixturevalue("tmp_path_factory").mktemp(account.name)
    with Pool(files / "known_hosts") as pool:
        connection = pool.connection(Host(account.name, vars=account.variables))
        home = connection.run('printf %s "$HOME"').text
        variables = {**account.variables, "interlink_image_cache": f"{home}/images"}
        with shell_local.shell_rig(connection, f"{home}/contract-{uuid.uuid4()}", variables) as made:
            yield dataclasses.replace(made, features=FEATURES, image=TEST_IMAGE)
