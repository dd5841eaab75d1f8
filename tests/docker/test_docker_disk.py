"""A full disk below interlink_root: the new pod fails with that reason, everything else goes on."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from interlink.errors import LaunchFailed
from interlink.model.status import Phase
from tests.contract.support import Box, ended, wait
from tests.docker.conftest import local_place
from tests.docker.support import Place
from tests.lab.hosts import SshHost

pytestmark = pytest.mark.lab


@pytest.fixture
def small_disk(private_directory: Path) -> Iterator[Path]:
    """A directory with room for one MiB."""
    directory = private_directory / "small"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "il-small", str(directory)], check=True)
    yield directory
    wait(lambda: _unmounted(directory), "nobody uses the small disk")


def _unmounted(directory: Path) -> bool:
    return subprocess.run(["umount", str(directory)], capture_output=True, check=False).returncode == 0


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == errno.ENOSPC  # noqa: PT017


def test_full_disk(
    place: Place, docker_host: SshHost, server_id: str, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert docker_host.engine is not None
    with local_place(docker_host.engine, small_disk, f"{server_id}-small", monkeypatch) as small:
        restarts = Box("sleep 2; exit 3")
        with small.rig.run(Box("sleep 1000")) as runs, small.rig.run(restarts, restartPolicy="Always") as lives:
            lives.running()
            runs.running()
            _fill(small_disk / "fill")
            refused = small.rig.pod(Box("true"))
            with pytest.raises(LaunchFailed) as caught:
                small.driver.create(refused)
            assert caught.value.reason == "OutOfDisk"
            with place.rig.run(Box("echo elsewhere")) as other:
                assert other.ended().phase is Phase.SUCCEEDED
            assert runs.running().phase is Phase.RUNNING
            small.engine.run("kill", f"il-{runs.uid}-main-0")
            assert ended(runs.ended()).exit_code == 137
            runs.delete(grace=0)
            lives.delete(grace=0)
            assert small.containers(runs.uid) == small.containers(lives.uid) == []
            (small_disk / "fill").unlink()
            with small.rig.run(Box("echo again")) as again:
                assert again.ended().phase is Phase.SUCCEEDED
