"""The edge-case pods of a table, all at once, as plain processes on one Slurm and in Apptainer on a newer one."""

from __future__ import annotations

import copy
import http.client
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.slurm.stand import Run, Stand, stand, state

TABLE = Path(__file__).parents[1] / "cases" / "slurm" / "edges.yaml"
CASES: list[dict[str, Any]] = yaml.safe_load(TABLE.read_text())
RUNTIMES = {"process": "slurm", "apptainer": "hpc"}  # runtime -> the lab's cluster
PAIRS = [(runtime, case) for runtime in RUNTIMES for case in CASES if case.get("only", runtime) == runtime]
pytestmark = [pytest.mark.lab, pytest.mark.timeout(900), pytest.mark.xdist_group("edges")]


@dataclass
class Table:
    """What became of each case's create: a pod, or the words that refused it."""

    made: dict[str, Run | str]

    def run(self, case: dict[str, Any]) -> Run:
        found = self.made[case["name"]]
        assert isinstance(found, Run), found
        return found


@pytest.fixture(scope="module")
def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Table]:
    """All pods of the selected cases on one cluster, created before the first is looked at."""
    cluster = request.getfixturevalue(RUNTIMES[request.param])
    mine = [i for i in request.session.items if isinstance(i, pytest.Function) and i.path == request.path]
    chosen = [item.callspec.params for item in mine]
    with stand(tmp_path_factory.mktemp("edges"), cluster, interlink_runtime=request.param) as site:
        cases = [params["case"] for params in chosen if params["table"] == request.param]
        made = {case["name"]: _create(site, case) for case in cases}
        yield Table(made)
        runs = [run for run in made.values() if isinstance(run, Run)]
        for run in runs:
            site.server.insist("DELETE", "/delete", run.pod)
        site.wait_until(lambda: not site.server.insist("GET", "/v1/pods")["items"], "all pods are gone")


def _create(site: Stand, case: dict[str, Any]) -> Run | str:
    """Create a case's pod, or return why it is refused."""
    pod = site.pod("true")
    spec = {**pod["spec"], **copy.deepcopy(case["spec"])}
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container.setdefault("image", site.image)
    pod["spec"] = spec
    connection = http.client.HTTPConnection("127.0.0.1", site.server.port, timeout=120)
    connection.request("POST", "/create", json.dumps({"pod": pod}), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return Run(site, pod) if answer.status == 200 else text


@pytest.mark.parametrize(
    ("table", "case"), PAIRS, ids=[f"{one}-{case['name']}" for one, case in PAIRS], indirect=["table"], scope="module"
)
def test_edge(table: Table, case: dict[str, Any]) -> None:
    if "refused" in case:
        assert case["refused"] in str(table.made[case["name"]])
        return
    run = table.run(case)
    if "phase" in case:
        item = run.ended()
        assert item["phase"] == case["phase"]
    else:
        item = run.until(lambda item: _reason(item) in case["reason"], f"{case['reason']}")
    if "reason" in case:
        assert _reason(item) in case["reason"]
    codes = {name: state(item, name)["terminated"].get("exitCode", 0) for name in case.get("codes", ())}
    assert codes == case.get("codes", {})
    assert {name: run.log(name) for name in case.get("log", ())} == case.get("log", {})
    for name, lines in case.get("contains", {}).items():
        assert set(lines) <= set(run.log(name).splitlines())


def _reason(item: dict[str, Any]) -> str:
    found = state(item)
    return str(found.get("waiting", found.get("terminated", {})).get("reason", ""))
