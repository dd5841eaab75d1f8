"""What an Apptainer container leaves on a host of the shell driver: nothing, however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from interlink.drivers.supervised import records
from interlink.model.status import Phase
from tests.contract.factories import shell_apptainer
from tests.contract.support import FOREVER, Box, Rig, wait

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    with shell_apptainer.rig(request) as made:
        yield made


@pytest.fixture
def left(rig: Rig) -> Callable[[str], set[str]]:
    """Return the processes of the account, by their number, whose command line holds one of these words."""

    def look(words: str) -> set[str]:
        told = rig.driver._bundles.connection.run('ps -o pid=,args= -U "$(id -un)"').text
        found = (line.strip().partition(" ") for line in told.splitlines())
        return {pid for pid, _, args in found if any(word in args for word in words.split())}

    return look


MOUNTS = "squashfuse fuse-overlayfs"


def test_what_mounts_the_image_ends_with_the_container(rig: Rig, left: Callable[[str], set[str]]) -> None:
    before = left(MOUNTS)
    with rig.run(Box("true"), Box("sleep 4321", name="stopped", **FOREVER)) as run:
        run.running("stopped")
        run.delete(0)
    wait(lambda: left(MOUNTS) <= before and not left("4321"), "nothing of the containers is left")


def test_a_container_whose_program_is_missing_was_never_started(rig: Rig) -> None:
    with rig.run(Box(argv=["/no/such"]), Box("exit 3", name="good")) as run:
        run.ended()
        told = records.read(rig.driver._bundles.call("il_list", run.uid).text).records[run.uid].events
        reasons = {name: [reason for _, _, _, reason, about, _ in told if about == name] for name in ("main", "good")}
        assert reasons == {"main": ["Pulled", "Created", "Failed"], "good": ["Pulled", "Created", "Started"]}


def test_nothing_outlives_a_killed_supervisor(rig: Rig, left: Callable[[str], set[str]]) -> None:
    before = left(MOUNTS)
    with rig.run(Box("sleep 5432", **FOREVER)) as run:
        run.running()
        wait(lambda: left("5432"), "it has begun")
        for pid in left("/supervisor.sh") & left(f"pods/{run.uid}"):
            rig.driver._bundles.connection.run(f"kill -KILL {pid}")
        run.until(lambda s: s.phase is Phase.FAILED, "the loss of the supervisor is noticed")
        wait(lambda: left(MOUNTS) <= before and not left("5432"), "nothing of the container is left")
