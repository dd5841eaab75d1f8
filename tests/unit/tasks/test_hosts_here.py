"""The hosts tasks on this machine alone, and what they are made of."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from interlink import errors
from interlink.model.host import Host
from interlink.tasks import tables
from interlink.tasks.asking import ask

WRONG = "interlink_drvier is no variable of interLink; did you mean interlink_driver?"


def interlink(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(Path(sys.executable).with_name("interlink")), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=directory,
        env={**os.environ, "INTERLINK_STATE": str(directory / "state")},
    )


def test_facts_of_this_machine(tmp_path: Path) -> None:
    (tmp_path / "i.yaml").write_text("all:\n  hosts:\n    here: {ansible_connection: local}\n")
    done = interlink(tmp_path, "hosts.facts", "--json", "-i", "i.yaml")
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout)["hosts"]
    assert row["name"] == "here"
    assert row["cpus"] <= os.cpu_count()
    assert row["raw"]["uid"] == os.getuid()
    assert row["raw"]["disk"]["total"] > row["raw"]["disk"]["free"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["hosts.list", "-i", "none.yaml"], "none.yaml: cannot be read: No such file or directory"),
        (["hosts.ping", "-i", "i.yaml"], f"i.yaml:3: {WRONG}"),
        (["hosts.list", "-i", "a,b", "--limit", "c"], "--limit: no host or group is called 'c'"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "i.yaml").write_text("all:\n  hosts:\n    a: {interlink_drvier: docker}\n")
    done = interlink(tmp_path, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"interlink: {message}\n")


def test_all_hosts_are_asked_at_once_and_answer_in_their_order() -> None:
    everybody = threading.Barrier(8)

    def question(host: Host) -> str:
        everybody.wait(60)
        if host.name == "h3":
            raise errors.HostUnreachable("no route")
        return host.name.upper()

    answers = ask([Host(f"h{i}") for i in range(8)], question, forks=8)
    assert [a.value for a in answers] == ["H0", "H1", "H2", None, "H4", "H5", "H6", "H7"]
    assert [str(a.error) for a in answers if a.error] == ["no route"]


def test_a_mistake_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        ask([Host("a")], lambda host: 1 / 0, forks=1)


def test_a_pipe_gets_one_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    tables.show(("A", "B"), [("x" * 200, "y"), ("z", "")])
    assert capsys.readouterr().out.splitlines() == ["A" + " " * 201 + "B", "x" * 200 + "  y", "z"]


@pytest.mark.parametrize(
    ("count", "text"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (100 << 30, "100 GiB"), (1 << 60, "1024 PiB")],
)
def test_sizes_for_people(count: int | None, text: str) -> None:
    assert tables.size(count) == text
