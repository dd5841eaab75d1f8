"""A part of the golden pods that takes a few minutes; `inv golden` runs them all."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.golden import directory, tasks
from tests.lab import shared

pytestmark = [pytest.mark.lab, pytest.mark.minutes(12), pytest.mark.timeout(1800), pytest.mark.xdist_group("golden")]

# one or two of every kind, the quick ones
PART = (
    *("101-*", "104-*", "105-*", "107-*", "108-*", "109-*", "201-*", "202-*", "203-*", "205-*", "207-*"),
    *("301-*", "305-*", "306-*", "308-*", "309-*", "310-*", "401-*", "402-*", "404-*", "501-*"),
    *("509-*", "511-*", "513-*", "554-*", "601-*", "612-*", "613-*", "621-*", "801-*", "803-*"),
    *("901-*", "903-*", "911-*", "912-*"),
)


@pytest.fixture(scope="module")
def golden() -> directory.Golden:
    """The cases, which are not part of this project: where there are none, that is said and nothing is compared."""
    try:
        return directory.find()
    except directory.NoCases as error:
        pytest.skip(str(error))


def test_a_part_of_the_golden_pods_is_the_same(
    golden: directory.Golden, lab_part: Callable[[str], shared.Lab], tmp_path: Path
) -> None:
    for part in ("docker", "kubernetes"):
        lab_part(part)
    report = tmp_path / "report.json"
    options = [f"--only={','.join(PART)}", "-j3", "--slow=4", f"--json={report}", "--settle=60"]
    code = tasks.check(golden, "docker", options, logs=tmp_path / "logs")
    found = json.loads(report.read_text())["cases"]
    fine = ("same", "skipped")
    differing = {Path(name).stem: case["line"] for name, case in found.items() if case["result"] not in fine}
    assert not differing
    assert code == 0
