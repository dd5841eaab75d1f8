"""Host facts: the answer of the script as a record, and the script itself in every shell that is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from interlink.model.host import Host
from interlink.remote import facts, partitions

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
SHELLS = {"dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
COREUTILS = ["cat", "date", "df", "grep", "head", "hostname", "id", "nproc", "sed", "sleep", "tail", "tr", "uname"]


def answer(**values: str | list[str]) -> str:
    """Write lines as the script does; `__` in a name stands for a dot."""
    pairs = [(n, v) for n, given in values.items() for v in ([given] if isinstance(given, str) else given)]
    return "".join(f"fact\t{name.replace('__', '.')}\t{value}\n" for name, value in pairs)


def parse(host: Host | None = None, **values: str | list[str]) -> facts.HostFacts:
    return facts.parse(answer(**values), host or Host("h"), (NOW, NOW))


def test_nothing_known_is_no_error() -> None:
    found = facts.parse("Welcome to the cluster!\nfact\nfact\tx\n", Host("h"), (NOW, NOW))
    assert (found.cpus, found.memory, found.arch, found.gpus, found.address, found.engine) == (
        None,
        None,
        "",
        {},
        "",
        "",
    )
    assert found.raw == {"engines": {"docker": {"error": "not asked"}, "podman": {"error": "not asked"}}}


@pytest.mark.parametrize(
    ("count", "limit", "expected"),
    [
        ("8", "max 100000", 8),
        ("8", "250000 100000", 2.5),
        ("2", "800000 100000", 2),
        ("8", "-1 100000", 8),
        ("8", "", 8),
        ("", "", None),
        ("x", "5 0", None),
    ],
)
def test_cpus(count: str, limit: str, expected: float | None) -> None:
    assert parse(cpu__count=count, cpu__limit=limit).cpus == expected


@pytest.mark.parametrize(
    ("kib", "limit", "expected"),
    [
        ("1024", "max", 1 << 20),
        ("1024", "9223372036854771712", 1 << 20),
        ("1024", "524288", 1 << 19),
        ("", "524288", 1 << 19),
        ("", "", None),
    ],
)
def test_memory(kib: str, limit: str, expected: int | None) -> None:
    assert parse(memory__kib=kib, memory__limit=limit).memory == expected


@pytest.mark.parametrize(
    ("machine", "arch"), [("x86_64", "amd64"), ("aarch64", "arm64"), ("riscv64", "riscv64"), ("ppc64le", "ppc64le")]
)
def test_architectures_are_named_as_in_kubernetes(machine: str, arch: str) -> None:
    assert parse(arch=machine).arch == arch


def test_addresses_in_the_order_of_trust() -> None:
    everything = {
        "address__route": "192.0.2.1",
        "address__all": "192.0.2.2 fd00::1",
        "address__ssh": "a 1 192.0.2.3 22",
    }
    expected = ["192.0.2.1", "192.0.2.2", "192.0.2.3", ""]
    for address in expected:
        assert parse(**everything).address == address
        if address:
            del everything[next(iter(everything))]


@pytest.mark.parametrize(
    ("variables", "engine"),
    [
        ({}, "podman"),
        ({"interlink_driver": "docker"}, ""),
        ({"interlink_driver": "docker", "interlink_engine": "podman"}, "podman"),
        ({"interlink_engine": "docker"}, ""),
        ({"interlink_driver": "shell"}, ""),
    ],
)
def test_the_engine_is_the_one_that_the_driver_would_use(variables: dict[str, str], engine: str) -> None:
    found = parse(
        Host("h", vars=variables), docker__error="Cannot connect to the Docker daemon at x.", podman__version="4.3.1"
    )
    assert (found.engine, found.engine_version) == (engine, "4.3.1" if engine else "")
    assert found.raw["engines"]["docker"]["cure"] == "start it: systemctl enable --now docker"


def test_gpus_are_counted_by_resource() -> None:
    nvidia = ["NVIDIA A100-SXM4-40GB, 40960, 535.104.05"] * 4
    amd = ["device,Card series,Card model", "card0,MI250X,0x0b0c"]
    found = parse(gpu__nvidia=[*nvidia, "No devices were found"], gpu__amd=amd)
    assert found.gpus == {"nvidia.com/gpu": 4, "amd.com/gpu": 1}
    assert found.raw["gpus"][0] == {
        "resource": "nvidia.com/gpu",
        "name": "NVIDIA A100-SXM4-40GB",
        "memory": 40960 << 20,
        "driver": "535.104.05",
    }
    assert found.raw["gpus"][4] == {"resource": "amd.com/gpu", "name": "MI250X"}


def test_disk() -> None:
    found = parse(disk__path="/home/a b/.interlink", disk__df="/dev/vda 264212084 16774232 78727032 18% /home/a b")
    assert found.raw["disk"] == {
        "path": "/home/a b/.interlink",
        "mount": "/home/a b",
        "total": 264212084 << 10,
        "free": 78727032 << 10,
    }
    assert "disk" not in parse(disk__df="df: /x: No such file or directory").raw


def test_slurm() -> None:
    line = "batch*|up|1-00:00:00|2|3/5/0/8|1000+|gpu:a100:4(S:0-1),gpu:2"
    found = parse(
        slurm__version="slurm 22.05.8", slurm__partition=[line, "debug|drain|infinite|1|0/0/4/4|500|(null)", "odd|line"]
    )
    assert found.raw["slurm"]["version"] == "22.05.8"
    batch, debug = found.raw["slurm"]["partitions"]
    assert batch["default"]
    assert batch["gpus"] == 12
    assert (debug["name"], debug["up"], debug["cpus"], debug["memory"]) == ("debug", False, 4, 500 << 20)
    away = parse(slurm__version="slurm 22.05.8", slurm__error="Unable to contact slurm controller").raw["slurm"]
    assert away == {"version": "22.05.8", "error": "Unable to contact slurm controller"}
    assert partitions.parse(["a|up|1|x|0/0/1/1|1|(null)", "a|up|1|1|0/0/1|1|(null)"]) == []


def test_a_clock_that_goes_wrong_is_shown() -> None:
    seconds = int(NOW.timestamp())
    assert parse(time=str(seconds - 60)).raw["clock_skew"] == -60
    assert "clock_skew" not in parse(time=str(seconds + 2)).raw


def test_a_slow_answer_is_no_wrong_clock() -> None:
    slow = (NOW, NOW + timedelta(seconds=20))
    for late, skew in ((0, None), (20, None), (-3, -3), (30, 10)):
        text = answer(time=str(int(NOW.timestamp()) + late))
        assert facts.parse(text, Host("h"), slow).raw.get("clock_skew") == skew


def test_the_end_of_a_certificate_is_shown() -> None:
    end = NOW + timedelta(hours=1)
    assert facts.parse("", Host("h"), (NOW, NOW), end).raw["certificate_expires"] == "2026-01-02T04:04:05+00:00"


class Machine:
    """A directory of programs that stands for a machine; the shell and its tools are real."""

    def __init__(self, directory: Path, shell: list[str]) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.shell = [str(shutil.which(shell[0])), *shell[1:]]
        for tool in COREUTILS:
            if path := shutil.which(tool):
                (self.bin / tool).symlink_to(path)

    def add(self, name: str, script: str = "") -> None:
        """Install a program: a shell script, or the machine's own."""
        if script:
            (self.bin / name).write_text(f"#!/bin/sh\n{script}\n")
            (self.bin / name).chmod(0o755)
        else:
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def gather(self, **variables: str) -> facts.HostFacts:
        host = Host("h", vars=variables)
        text = facts.script(host).replace(f"il_patience={facts.PATIENCE}\n", "il_patience=1\n")
        assert "il_patience=1\n" in text
        sent = datetime.now(timezone.utc)
        done = subprocess.run(
            self.shell,
            input=text,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env={"PATH": str(self.bin), "HOME": str(self.bin.parent), "LC_ALL": "C"},
        )
        assert done.stderr == ""
        assert "fact\tcomplete\tyes" in done.stdout
        return facts.parse(done.stdout, host, (sent, datetime.now(timezone.utc)))


@pytest.fixture(
    params=[pytest.param(v, id=k, marks=pytest.mark.skipif(not shutil.which(k), reason=k)) for k, v in SHELLS.items()]
)
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    return Machine(tmp_path, request.param)


def test_a_machine_with_next_to_nothing(machine: Machine) -> None:
    found = machine.gather(interlink_root="~/deep/below")
    assert found.cpus
    assert found.memory
    assert found.raw["user"] == machine.gather().raw["user"]
    assert found.raw["disk"]["path"] == f"{machine.bin.parent}/deep/below"
    assert found.raw["disk"]["total"] > found.raw["disk"]["free"] > 0
    assert found.raw["engines"]["docker"] == {"error": "docker is not installed"}
    assert not {"apptainer", "curl", "podman"} & set(found.raw.get("tools", ()))  # busybox has all others built in
    assert "slurm" not in found.raw
    assert "clock_skew" not in found.raw


def test_a_machine_with_everything(machine: Machine) -> None:
    machine.add("docker", "echo 'WARNING: odd settings' >&2; echo 27.1.1")
    machine.add("podman", "echo 'Error: cannot open store' >&2; exit 125")
    machine.add("nvidia-smi", "echo 'Tesla T4, 15360, 550.54'; echo 'Tesla T4, 15360, 550.54'")
    machine.add(
        "sinfo", '[ "$1" = --version ] && echo slurm 22.05.8 || echo "batch*|up|infinite|2|0/8/0/8|1000|(null)"'
    )
    machine.add("timeout")
    machine.add("flock")
    found = machine.gather()
    assert (found.engine, found.engine_version) == ("docker", "27.1.1")
    assert found.raw["engines"]["podman"]["error"] == "Error: cannot open store"
    assert found.gpus == {"nvidia.com/gpu": 2}
    assert found.raw["slurm"]["partitions"][0]["name"] == "batch"
    assert {"flock", "podman", "timeout"} <= set(found.raw["tools"])


@pytest.mark.parametrize("tool", ["timeout", ""], ids=["with timeout", "without"])
def test_a_program_that_hangs_is_given_up(machine: Machine, tool: str) -> None:
    if tool:
        machine.add(tool)
    for name in ("docker", "nvidia-smi"):
        machine.add(name, "exec sleep 600")
    began = time.monotonic()
    found = machine.gather()
    assert time.monotonic() - began < 100
    assert found.raw["engines"]["docker"]["error"] == "no answer within 1 seconds"
    assert found.raw["engines"]["docker"]["cure"].startswith("the daemon hangs")
    assert found.gpus == {}


def test_a_controller_that_is_away(machine: Machine) -> None:
    machine.add(
        "sinfo",
        '[ "$1" = --version ] && echo slurm 23.11.1 || { echo "slurm_load_partitions: Zero Bytes" >&2; exit 1; }',
    )
    assert machine.gather().raw["slurm"] == {"version": "23.11.1", "error": "slurm_load_partitions: Zero Bytes"}


def test_the_root_is_only_ever_a_word(machine: Machine, tmp_path: Path) -> None:
    machine.gather(interlink_root=f"/x'; $(touch {tmp_path}/bad); `touch {tmp_path}/bad`")
    assert not os.path.exists(tmp_path / "bad")
