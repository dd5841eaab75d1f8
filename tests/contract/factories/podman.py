"""Rootful podman over a real sshd."""

from __future__ import annotations

from contextlib import AbstractContextManager

import pytest

from tests.contract.factories import docker
from tests.contract.support import Rig

NAME = "podman"
MARKS = (pytest.mark.lab,)
FEATURES = docker.FEATURES


def rig(request: pytest.FixtureRequest) -> AbstractContextManager[Rig]:
    return docker.engine_rig(request, request.getfixturevalue("podman_host"))
