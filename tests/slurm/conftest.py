"""Servers in front of the lab's Slurm clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.slurm.cluster import Cluster, Settings
from tests.slurm.stand import Stand, stand


@pytest.fixture(scope="session")
def site(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A server on the shared cluster, pods as plain processes; for tests that hurt neither."""
    with stand(tmp_path_factory.mktemp("site"), slurm, interlink_runtime="process") as made:
        yield made


@pytest.fixture
def fragile(slurm_factory: Callable[..., Cluster], tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    """Servers on clusters of the test's own: `fragile(Settings(...), interlink_name=value)`."""
    with ExitStack() as stack:
        count = 0

        def make(settings: Settings | None = None, **variables: object) -> Stand:
            nonlocal count
            count += 1
            cluster = slurm_factory(settings)
            return stack.enter_context(
                stand(tmp_path / f"server{count}", cluster, interlink_runtime="process", **variables)
            )

        yield make
