"""What hosts print of their use, cgroup v1 and v2, docker, podman and processes."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from interlink.drivers.docker import usage as engines
from interlink.drivers.shell import usage as processes
from interlink.drivers.slurm import usage as jobs
from interlink.errors import OutcomeUnknown
from interlink.model.status import ContainerStatus, Kind, Phase, PodStatus, Running, Terminated
from interlink.model.usage import ContainerUsage
from interlink.remote import usage

MACHINE = """\
H 100
/proc/stat:cpu  1000 10 500 90000 800 5 15 20 300 0
/proc/stat:btime 1780000000
/proc/meminfo:MemTotal:       16000000 kB
/proc/meminfo:MemAvailable:   12000000 kB
/proc/uptime:5000.25 9000.00
N 1780005000.750000001
"""
STARTED = datetime(2026, 6, 1, 10, 0, 0, 123456, tzinfo=timezone.utc)
V1 = """\
U u1 c "2026-06-01T10:00:00.123456789Z" /sys/fs/cgroup/cpu,cpuacct/docker/ab/cpuacct.usage /sys/fs/cgroup/memory/docker/ab
U u1 _pause "2026-06-01T10:00:00Z" /sys/fs/cgroup/cpu,cpuacct/docker/ff/cpuacct.usage /sys/fs/cgroup/memory/docker/ff
/sys/fs/cgroup/cpu,cpuacct/docker/ab/cpuacct.usage:2500000000
/sys/fs/cgroup/memory/docker/ab/memory.usage_in_bytes:10485760
/sys/fs/cgroup/memory/docker/ab/memory.stat:inactive_file 1
/sys/fs/cgroup/memory/docker/ab/memory.stat:total_inactive_file 485760
E
"""  # noqa: E501
V2 = """\
U u1 c "2026-06-01T12:00:00.123456789+02:00" /sys/fs/cgroup/machine.slice/libpod-ab.scope/cpu.stat /sys/fs/cgroup/machine.slice/libpod-ab.scope
/sys/fs/cgroup/machine.slice/libpod-ab.scope/cpu.stat:usage_usec 2500000
/sys/fs/cgroup/machine.slice/libpod-ab.scope/memory.current:10485760
/sys/fs/cgroup/machine.slice/libpod-ab.scope/memory.stat:inactive_file 485760
E
"""  # noqa: E501
FULL = ContainerUsage("c", 2.5, 10_000_000, STARTED)


@pytest.mark.parametrize("text", [V1, V2], ids=["v1", "v2"])
def test_cgroups_of_both_versions(text: str) -> None:
    found = engines.parse(MACHINE + text)
    assert found.pods == {"u1": (FULL,)}
    assert found.cpu_seconds == 15.5  # idle, iowait and guest do not count
    assert found.memory_bytes == 4_000_000 << 10
    assert found.taken_at == datetime.fromtimestamp(1780005000.75, timezone.utc)


@pytest.mark.parametrize(
    ("missing", "seen"),
    [
        ("cpuacct.usage:", ContainerUsage("c", None, 10_000_000, STARTED)),
        ("usage_in_bytes", ContainerUsage("c", 2.5, None, STARTED)),
        ("total_inactive", ContainerUsage("c", 2.5, 10_485_759, STARTED)),
    ],
)
def test_a_file_that_cannot_be_read_is_a_figure_less(missing: str, seen: ContainerUsage) -> None:
    text = "".join(line for line in V1.splitlines(keepends=True) if missing not in line)
    assert engines.parse(MACHINE + text).pods == {"u1": (seen,)}


def test_idle_pages_beyond_the_usage_are_no_negative_figure() -> None:
    text = V1.replace("10485760", "1000")
    assert engines.parse(MACHINE + text).pods["u1"][0].memory_bytes == 0


PROCESSES = """\
P 4096
/proc/10/environ:IL_CONTAINER=u1/c/0
/proc/11/environ:IL_CONTAINER=u1/c/0
/proc/12/environ:IL_CONTAINER=u1/d/2
/proc/13/environ:IL_CONTAINER=u2/c/0
/proc/10/stat:10 (sh) S 1 10 10 0 -1 4194560 100 0 0 0 10 20 30 40 20 0 1 0 100000 2600000 200
/proc/11/stat:11 (odd) name: x) S 10 10 10 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 1 0 100500 2600000 200
/proc/12/stat:12 (sleep) S 1 12 12 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 200000 2600000 200
/proc/10/smaps_rollup:Pss:                 100 kB
/proc/11/smaps_rollup:Pss:                  28 kB
E
"""


def test_processes_are_summed_by_container() -> None:
    found = processes.parse(MACHINE + PROCESSES)
    first = datetime.fromtimestamp(1780001000, timezone.utc)
    assert found.pods == {
        "u1": (
            ContainerUsage("c", 1.03, 128 << 10, first),
            ContainerUsage("d", 0.0, 200 * 4096, datetime.fromtimestamp(1780002000, timezone.utc)),
        )
    }  # u2's process ended before it was measured, d's before its memory was


INSIDE = """\
S u1 c 20
/proc/1/stat:1 (init) S 0 1 1 0 -1 4194560 100 0 0 0 900 900 0 0 20 0 1 0 1 2600000 200
/proc/20/stat:20 (starter) S 1 20 20 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 100000 2600000 200
/proc/21/stat:21 (appinit) S 20 21 21 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 100000 2600000 200
/proc/22/stat:22 (python3) S 21 22 22 0 -1 4194560 100 0 0 0 50 50 0 0 20 0 1 0 100000 2600000 200
/proc/23/stat:23 (sh) Z 21 23 23 0 -1 4194560 100 0 0 0 0 0 0 0 20 0 1 0 100000 0 0
/proc/24/stat:24 (fuse-overlayfs) S 1 24 20 0 -1 4194560 100 0 0 0 50 50 0 0 20 0 1 0 100000 2600000 200
/proc/30/stat:30 (sshd) S 1 30 30 0 -1 4194560 100 0 0 0 70 70 0 0 20 0 1 0 100000 2600000 200
/proc/20/smaps_rollup:Pss:                   1 kB
/proc/21/smaps_rollup:Pss:                   2 kB
/proc/22/smaps_rollup:Pss:                   4 kB
/proc/24/smaps_rollup:Pss:                  16 kB
/proc/30/smaps_rollup:Pss:                   8 kB
E
"""


def test_what_runs_inside_a_runtimes_container_is_known_by_its_session_or_its_parents() -> None:
    begun = datetime.fromtimestamp(1780001000, timezone.utc)
    assert processes.parse(MACHINE + INSIDE).pods == {"u1": (ContainerUsage("c", 2.0, 23 << 10, begun),)}


def test_a_jobs_figures_are_those_of_the_one_container_that_runs() -> None:
    def pod(uid: str, jid: str, **states: Running | Terminated) -> PodStatus:
        containers = tuple(ContainerStatus(name, Kind.MAIN, state=state) for name, state in states.items())
        return PodStatus(uid, "ns", uid, jid, Phase.RUNNING, containers=containers)

    pods = jobs.running(
        [
            pod("one", "1", main=Running(STARTED), ended=Terminated(0)),
            pod("several", "2", main=Running(STARTED), other=Running(STARTED)),
            pod("none", "3", main=Terminated(0)),
            pod("unknown", "4", main=Running(STARTED)),
            pod("unsubmitted", "", main=Running(STARTED)),
        ]
    )
    assert {uid: status.uid for uid, status in pods.items()} == {"1": "one", "4": "unknown"}
    found = jobs.steps("1.batch|00:01:02.5|1.5M\n1.extern|00:00:09|9G\n99.batch|00:00:01|4K\nE\n")
    assert jobs.of_pods(found, pods) == {"one": (ContainerUsage("main", 62.5, 3 << 19, STARTED),)}


@pytest.mark.parametrize("parse", [engines.parse, processes.parse])
@pytest.mark.parametrize("text", ["", MACHINE, "E\n", MACHINE.replace("btime", "x") + "E\n"])
def test_half_an_answer_is_none(parse: object, text: str) -> None:
    assert callable(parse)
    with pytest.raises(OutcomeUnknown):
        parse(text)


@pytest.mark.parametrize("said", ["1780005001.%N", "1780005001.", "1780005001", "x"])
def test_where_the_clock_has_no_fractions_the_time_is_that_of_boot_and_uptime(said: str) -> None:
    found = usage.read(MACHINE.replace("1780005000.750000001", said).splitlines())
    assert found.taken_at == datetime.fromtimestamp(1780005000.25, timezone.utc)


def test_a_machine_without_a_figure_has_none() -> None:
    lines = [line for line in MACHINE.splitlines() if "MemAvailable" not in line and ":cpu" not in line]
    found = usage.read(lines)
    assert (found.cpu_seconds, found.memory_bytes) == (None, None)


@pytest.mark.parametrize("text", ["", "1.batch|00:00:01|4K\n"])
def test_half_an_answer_about_jobs_is_none(text: str) -> None:
    with pytest.raises(OutcomeUnknown):
        jobs.steps(text)
