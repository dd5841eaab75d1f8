"""Servers in front of the lab's Slurm clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.lab.slurm.cluster import Cluster, Settings
from tests.slurm.stand import Stand, stand

Variables = Callable[[Cluster], Mapping[str, Any]]


@pytest.fixture(scope="session")
def site(slurm: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    """A server on the shared cluster, pods as plain processes; for tests that hurt neither."""
    with stand(tmp_path_factory.mktemp("site"), slurm, interlink_runtime="process") as made:
        yield made


@pytest.fixture
def fragile(slurm_factory: Callable[..., Cluster], tmp_path: Path) -> Iterator[Callable[..., Stand]]:
    """Servers on clusters of the test's own: `fragile(settings=Settings(...))`.

    `variables` gives the inventory's variables that depend on the cluster, such as its computers' names.
    """
    with ExitStack() as stack:
        count = 0

        def make(variables: Variables = lambda _: {}, settings: Settings | None = None) -> Stand:
            nonlocal count
            count += 1
            cluster = slurm_factory(settings)
            more = {"interlink_runtime": "process", **variables(cluster)}
            return stack.enter_context(stand(tmp_path / f"server{count}", cluster, **more))

        yield make
