"""What is missing on a host, told from its facts, with the cure."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

from interlink.deploy import judge
from interlink.model.driver import HostFacts
from interlink.model.host import Host

NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)
TOOLS = ["flock", "setsid", "tar", "timeout"]
DISK = {"path": "/home/a/.interlink", "mount": "/home", "total": 10 << 30, "free": 5 << 30}
GOOD = HostFacts(cpus=4, memory=8 << 30, raw={"tools": TOOLS, "disk": DISK})
BATCH = {"name": "batch", "default": True, "up": True, "time_limit": "1-00:00:00", "nodes": 4, "cpus": 64}
SHORT = {**BATCH, "name": "short", "default": False}


def having(**raw: Any) -> HostFacts:
    return replace(GOOD, raw={**GOOD.raw, **raw})


def complaints(facts: HostFacts, driver: str = "docker") -> str:
    return "; ".join(judge.complaints(Host("h"), driver, facts, NOW))


def test_a_good_host_has_no_complaints() -> None:
    assert complaints(GOOD) == ""


def test_missing_programs_come_with_their_packages() -> None:
    assert "there is no setsid, flock" in complaints(having(tools=["tar"]))
    assert "apt-get install util-linux)" in complaints(having(tools=["tar"]))
    assert complaints(having(tools=["tar"]), "slurm") == ""


def test_a_full_disk_names_the_file_system_and_the_setting() -> None:
    told = complaints(having(disk={**DISK, "free": 1 << 20}))
    assert "only 1 MiB are free on /home" in told
    assert "interlink_root" in told


def test_clocks_and_certificates() -> None:
    assert "its clock is +90 s off" in complaints(having(clock_skew=90))
    assert "ended at" in complaints(having(certificate_expires=(NOW - timedelta(days=1)).isoformat()))
    soon = having(certificate_expires=(NOW + timedelta(hours=2)).isoformat())
    assert complaints(soon) == ""
    assert "our SSH certificate ends at" in "".join(judge.warnings(soon, NOW))


def test_an_engine_that_does_not_work_comes_with_its_own_cure() -> None:
    state = {"error": "permission denied", "cure": "add the user to the group docker"}
    told = judge.engine(Host("h"), having(engines={"docker": state}))
    assert told == "docker does not work: permission denied; add the user to the group docker"
    assert judge.engine(Host("h"), replace(GOOD, engine="docker")) == ""


def slurm(partition: str = "", **raw: Any) -> tuple[str, str]:
    host = Host("h", vars={"interlink_partition": partition} if partition else {})
    return judge.partition(host, having(slurm={"version": "22.05.8", "partitions": [BATCH, SHORT], **raw}))


def test_partitions() -> None:
    assert slurm() == ("Slurm 22.05.8, partition batch: 4 nodes, 64 CPUs, time limit 1-00:00:00", "")
    assert "partition short" in slurm("short")[0]
    assert slurm("bath")[1] == "there is no partition 'bath': set interlink_partition to one of batch, short"
    assert "is down" in slurm(partitions=[{**BATCH, "up": False}])[1]
    assert "no default partition" in slurm(partitions=[SHORT])[1]
    assert "does not answer: socket timed out" in slurm(error="socket timed out")[1]
    assert "sinfo is not on the PATH" in judge.partition(Host("h"), GOOD)[1]


def test_runtimes() -> None:
    host = Host("h", vars={"interlink_runtime": "apptainer"})
    assert judge.runtime(host, "shell", having(tools=["apptainer"])) == ("apptainer", "")
    assert "apt-get install apptainer" in judge.runtime(host, "shell", GOOD)[1]
    assert "the compute nodes need it" in judge.runtime(host, "slurm", GOOD)[0]
    assert "no isolation" in judge.runtime(Host("h"), "shell", GOOD)[0]
