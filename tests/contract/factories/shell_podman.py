"""The shell driver with podman as its runtime, over a real sshd."""

from __future__ import annotations

import dataclasses
import shlex
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlink.model.host import Host
from interlink.remote.pool import Pool
from tests.contract.factories import shell_local
from tests.contract.support import Rig, wait
from tests.lab.hosts import TEST_IMAGE

NAME = "shell-podman"
MARKS = (pytest.mark.lab,)
FEATURES = shell_local.FEATURES | {"images", "mounts", "odd-env"}


@contextmanager
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    account = request.getfixturevalue("podman_host")
    files = request.getfixturevalue("tmp_path_factory").mktemp("shell-podman")
    engine = account.engine
    assert engine is not None
    # The lab's podman is told by its environment where all is; containers of a supervisor do not inherit that.
    program = files / "podman"
    settings = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in engine.env.items())
    program.write_text(f'#!/bin/sh\n{settings}exec /usr/bin/podman "$@"\n')
    program.chmod(0o755)
    variables = {**account.variables, "interlink_runtime": "podman", "interlink_runtime_path": str(program)}
    with Pool(files / "known_hosts") as pool:
        connection = pool.connection(Host(account.name, vars=account.variables))
        with shell_local.shell_rig(connection, f"{files}/{uuid.uuid4()}", variables) as made:
            yield dataclasses.replace(made, features=FEATURES, image=TEST_IMAGE)
    ended = ("label=interlink.eu/supervised", "status=exited")  # those that run are another worker's
    wait(lambda: not engine.containers(*ended), "podman has kept no container")
