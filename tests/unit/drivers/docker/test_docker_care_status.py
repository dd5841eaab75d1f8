"""What probes and hooks have found out, in a container's status."""

from __future__ import annotations

import re
from datetime import datetime, timezone

import pytest

from interlink.drivers.docker import scripts
from interlink.drivers.docker.inspect import Evidence
from interlink.drivers.docker.status import pod_status
from interlink.model.status import ContainerStatus, Phase, Running, Terminated, Waiting

NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)


def seen(care: list[str], found: dict[str, str] | None = None) -> ContainerStatus:
    """Return the status of a running first attempt."""
    container = {"name": "c", "kind": "main", "image": "i", "care": care}
    skeleton = {"namespace": "n", "name": "p", "policy": "Always", "containers": [container]}
    records = {"c": {"N": "0", "ID": "1", "RC": ""}, **({"c.care": found} if found else {})}
    state = {"Status": "running", "StartedAt": "2026-11-21T09:42:15Z"}
    evidence = Evidence("u", skeleton, records, engine={"c": {0: {"id": "1", "state": state}}}, here=True)
    [status] = pod_status(evidence, "docker", "10.0.0.1", NOW).containers
    return status


@pytest.mark.parametrize(
    ("care", "found", "started", "ready"),
    [
        ([], {}, True, True),
        (["prestop", "liveness"], {}, True, True),
        (["readiness"], {}, True, False),
        (["readiness"], {"CARE_READY": "1"}, True, True),
        (["startup"], {}, False, False),
        (["startup"], {"CARE_STARTED": "1"}, True, True),
        (["startup", "readiness"], {"CARE_STARTED": "1"}, True, False),
        (["poststart"], {"CARE_HOOKED": "1"}, True, True),
    ],
)
def test_started_and_ready(care: list[str], found: dict[str, str], started: bool, ready: bool) -> None:
    status = seen(care, {"CARE_ATTEMPT": "0", **found})
    assert isinstance(status.state, Running)
    assert (status.started, status.ready) == (started, ready)


def test_what_was_found_of_another_attempt_does_not_count() -> None:
    assert not seen(["readiness"], {"CARE_ATTEMPT": "1", "CARE_READY": "1"}).ready


def test_a_container_shows_only_after_its_post_start() -> None:
    status = seen(["poststart"])
    assert isinstance(status.state, Waiting)
    assert (status.started, status.ready, status.container_id) == (False, False, "")


def test_a_record_behind_the_engine_does_not_hide_an_end() -> None:
    """The engine has started and ended what the record still pulls the image for."""
    skeleton = {"namespace": "n", "name": "p", "policy": "Never"}
    skeleton["containers"] = [{"name": "c", "kind": "main", "image": "i"}]  # type: ignore[assignment]
    ended = {
        "Status": "exited",
        "ExitCode": 3,
        "StartedAt": "2026-11-21T09:42:15Z",
        "FinishedAt": "2026-11-21T09:42:16Z",
    }
    behind = {"c": {"N": "-1", "ID": "", "RC": "", "WAIT": "Pulling"}}
    evidence = Evidence("u", skeleton, behind, engine={"c": {0: {"id": "1", "state": ended}}}, here=True)
    status = pod_status(evidence, "docker", "10.0.0.1", NOW)
    [container] = status.containers
    assert isinstance(container.state, Terminated)
    assert (status.phase, container.state.exit_code, container.last_state) == (Phase.FAILED, 3, None)


def test_records_share_no_variable() -> None:
    written = {name: set(re.findall(r'"([A-Z_]+)=\$', scripts.text(name))) for name in ("lib", "tend")}
    assert {"N", "STARTED", "OVER"} <= written["lib"]
    assert {"CARE_STARTED", "CARE_OVER"} <= written["tend"]
    assert not written["lib"] & written["tend"]
