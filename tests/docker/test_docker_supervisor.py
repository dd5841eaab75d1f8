"""One supervisor per host and server id: a new version replaces the old one, an idle one ends."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from interlink.drivers.docker import scripts
from interlink.model.status import Phase
from tests.contract.support import Box, wait
from tests.docker.support import Place, group

pytestmark = pytest.mark.lab


def _older(place: Place) -> int:
    """Have the supervisor of another version running; returns its process id."""
    base = place.directory / place.server
    shutil.copytree(base / "bin" / scripts.version(), base / "bin/older")
    argv = ["sh", "bin/older/supervisor.sh", "docker", place.server, "older"]
    started = subprocess.Popen(argv, cwd=base, start_new_session=True, stdin=subprocess.DEVNULL)
    wait(lambda: place.supervisor() == started.pid, "the older supervisor reports")
    # whoever starts a supervisor does not wait for it: have its end reaped
    started.returncode = 0
    return started.pid


def _reaped(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _impatient(place: Place) -> None:
    """Make the installed supervisor count beats where it counts minutes."""
    file: Path = place.directory / place.server / "bin" / scripts.version() / "supervisor.sh"
    text = file.read_text()
    assert text.count("IDLE=120 ") == 1
    file.write_text(text.replace("IDLE=120 ", "IDLE=1 "))


def test_a_new_version_ends_the_older_one(place: Place) -> None:
    place.driver.prepare()
    older = _older(place)
    with place.rig.run(Box("sleep 2"), inits=[Box("sleep 1", name="i")]) as run:
        wait(lambda: _reaped(older), "the older supervisor ends")
        wait(lambda: not group(older), "with all of its processes")
        newer = wait(lambda: place.supervisor() if place.supervisor() != older else 0, "the newer one reports")
        assert run.ended().phase is Phase.SUCCEEDED
        assert place.supervisor() == newer
        assert (place.directory / place.server / "supervisor").read_text().split()[1] == scripts.version()


def test_an_idle_one_ends_and_comes_back_when_needed(place: Place) -> None:
    place.driver.prepare()
    _impatient(place)
    with place.rig.run(Box("sleep 1"), inits=[Box("true", name="i")]) as run:
        first = wait(place.supervisor, "a supervisor")
        run.ended()
        wait(lambda: not group(first), "the idle supervisor ends")
        assert place.supervisor() == 0
    with place.rig.run(Box("sleep 1"), inits=[Box("sleep 1", name="i")]) as run:
        assert run.ended().phase is Phase.SUCCEEDED


def test_one_with_a_live_pod_stays(place: Place) -> None:
    place.driver.prepare()
    _impatient(place)
    with place.rig.run(Box("sleep 1000"), inits=[Box("true", name="i")]) as run:
        run.running()
        first = wait(place.supervisor, "a supervisor")
        time.sleep(12)  # two beats, which would end an idle one
        assert place.supervisor() == first
        assert group(first)
