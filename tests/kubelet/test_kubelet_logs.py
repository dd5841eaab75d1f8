"""`kubectl logs` of pods on a docker host, through the API server and the node's own port."""

from __future__ import annotations

import ipaddress
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from tests.kubelet.apistand import Api, Follower, processes_with, serving_pods, shell, until
from tests.kubelet.podstand import Stand
from tests.lab import shared
from tests.lab.controlplane.cluster import Cluster

pytestmark = pytest.mark.lab
LINES = b"".join(b"line %d\n" % number for number in range(1, 21))
PRINT = "i=1; while [ $i -le 20 ]; do echo line $i; i=$((i+1)); done"


@pytest.fixture
def api(on_docker: Stand, lab_part: Callable[[str], shared.Lab], tmp_path: Path) -> Iterator[Api]:
    """The node's API at the machine's address in the lab's network: the API server proxies to no loopback."""
    address = str(ipaddress.ip_network(lab_part("docker").network.cidr)[1])
    with serving_pods(on_docker, address, tmp_path / "certs") as made:
        yield made


def logs(stand: Stand, *args: str) -> bytes:
    return stand.cluster.kubectl("logs", "-n", stand.namespace, *args).encode()


def failure(stand: Stand, *args: str) -> str:
    done = stand.cluster.run_kubectl(*args[:1], "-n", stand.namespace, *args[1:])
    assert done.returncode != 0, done.stdout
    return done.stderr


def ended(stand: Stand, name: str, *commands: str) -> dict[str, Any]:
    stand.create(name, container={"command": shell(*commands)})
    return stand.phase(name, "Succeeded")


def test_every_flag_of_kubectl_logs(on_docker: Stand, api: Api) -> None:
    ended(on_docker, "p", PRINT)
    assert logs(on_docker, "p") == LINES
    assert logs(on_docker, "p", "-c", "c") == LINES
    assert logs(on_docker, "p", "--follow") == LINES
    assert logs(on_docker, "p", "--tail=3") == b"line 18\nline 19\nline 20\n"
    assert logs(on_docker, "p", "--tail=0") == b""
    assert logs(on_docker, "p", "--limit-bytes=10") == LINES[:10]
    assert logs(on_docker, "p", "--since=1h") == LINES
    now = datetime.now(timezone.utc)
    assert logs(on_docker, "p", f"--since-time={now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}") == b""
    assert logs(on_docker, "p", f"--since-time={now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}") == LINES
    stamped = logs(on_docker, "p", "--timestamps", "--tail=2").decode().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z ", "", line) for line in stamped] == [
        "line 19",
        "line 20",
    ]
    assert logs(on_docker, "p", "--all-containers", "--prefix", "--tail=1") == b"[pod/p/c] line 20\n"


def test_previous_attempts_and_several_containers(on_docker: Stand, api: Api) -> None:
    again = shell("if [ -e /keep/ran ]; then echo second; sleep 300; fi", "echo first", "touch /keep/ran", "exit 4")
    containers = [
        {"name": "again", "command": again, "volumeMounts": [{"name": "keep", "mountPath": "/keep"}]},
        {"name": "calm", "command": shell("echo calm", "sleep 300")},
    ]
    volumes = [{"name": "keep", "emptyDir": {}}]
    on_docker.create("p", restartPolicy="OnFailure", containers=containers, volumes=volumes)
    on_docker.wait("p", lambda pod: any(c["restartCount"] == 1 and c["ready"] for c in statuses(pod)))
    until(lambda: logs(on_docker, "p", "-c", "again") == b"second\n", "the second attempt has spoken")
    assert logs(on_docker, "p", "-c", "again", "--previous") == b"first\n"
    said = failure(on_docker, "logs", "p", "-c", "calm", "--previous")
    assert 'previous terminated container "calm" in pod "p" not found' in said
    assert logs(on_docker, "p", "-c", "calm") == b"calm\n"
    both = logs(on_docker, "p", "--all-containers")
    assert sorted(both.splitlines()) == [b"calm", b"second"]


def test_following_from_the_end_shows_only_what_comes_however_late(
    on_docker: Stand, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlink.client.aio.ANSWER_SECONDS", 20.0)  # for a log to be opened; it may be silent then
    speak = "i=0; while :; do echo new $i; i=$((i+1)); sleep 1; done"
    on_docker.create("p", container={"command": shell("echo old", "sleep 45", speak)})
    on_docker.phase("p", "Running")
    until(lambda: logs(on_docker, "p") == b"old\n", "its first line")
    follower = Follower(on_docker.cluster, "-n", on_docker.namespace, "--tail=0", "p")
    try:
        first, second = follower.line(), follower.line()
    finally:
        follower.kill()
    assert first.startswith(b"new ")
    assert int(second.split()[1]) == int(first.split()[1]) + 1


def statuses(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return pod["status"].get("containerStatuses") or []


def test_a_container_without_a_log_says_why(on_docker: Stand, api: Api) -> None:
    on_docker.create("p", container={"image": "registry.invalid/nosuch:1"})
    on_docker.wait("p", lambda pod: any("ImagePull" in str(c["state"]) for c in statuses(pod)))
    said = failure(on_docker, "logs", "p")
    assert 'container "c" in pod "p" is waiting to start: ' in said
    assert "image" in said


def test_streams_other_than_logs_say_that_they_are_not_supported(on_docker: Stand, api: Api) -> None:
    on_docker.create("p", container={"command": ["sleep", "300"]})
    on_docker.phase("p", "Running")
    assert "exec is not supported by this virtual node" in failure(on_docker, "exec", "p", "--", "true")
    assert "attach is not supported by this virtual node" in failure(on_docker, "attach", "p")


def chatty(stand: Stand, name: str, lines: int, pause: float = 0.1) -> None:
    """A pod that counts: fifty lines, a pause, fifty lines."""
    count = "i=0; while [ $i -lt {0} ]; do i=$((i+1)); echo $i 0123456789012345678901234567890123456789; {1}; done"
    pause_every = f"if [ $((i % 50)) -eq 0 ]; then sleep {pause}; fi"
    stand.create(name, container={"command": shell(count.format(lines, pause_every))})
    stand.wait(name, lambda pod: pod["status"]["phase"] in ("Running", "Succeeded"))


def follow_to_the_end(stand: Stand, seconds: float) -> None:
    lines = int(seconds * 400)
    chatty(stand, "p", lines)
    begun = time.monotonic()
    follower = Follower(stand.cluster, "-n", stand.namespace, "p")
    output, errors = follower.process.communicate(timeout=seconds * 10)
    assert follower.process.returncode == 0, errors
    numbers = [int(line.split()[0]) for line in output.splitlines()]
    assert numbers == list(range(1, lines + 1))
    assert time.monotonic() - begun > seconds / 2, "it was not followed, it was read afterwards"


@pytest.mark.timeout(700)
def test_a_chatty_pod_loses_no_line_in_a_minute(on_docker: Stand, api: Api) -> None:
    follow_to_the_end(on_docker, 60)


@pytest.mark.long
@pytest.mark.timeout(7000)
def test_a_chatty_pod_loses_no_line_in_ten_minutes(on_docker: Stand, api: Api) -> None:
    follow_to_the_end(on_docker, 600)


def test_a_slow_reader_loses_no_line(on_docker: Stand, api: Api) -> None:
    """While nobody reads, megabytes wait in the container's log, not in the memory of those between."""
    lines = 60_000
    chatty(on_docker, "p", lines, pause=0.001)
    follower = Follower(on_docker.cluster, "-n", on_docker.namespace, "p")
    assert follower.line().startswith(b"1 ")
    time.sleep(5)
    rest, errors = follower.process.communicate(timeout=120)
    assert follower.process.returncode == 0, errors
    assert [int(line.split()[0]) for line in rest.splitlines()] == list(range(2, lines + 1))


@pytest.mark.parametrize("talks", [True, False])
def test_clients_that_leave_free_everything(on_docker: Stand, api: Api, talks: bool) -> None:
    command = shell("echo begun", "while :; do echo again; sleep 0.05; done" if talks else "sleep 300")
    uid = on_docker.create("p", container={"command": command})["metadata"]["uid"]
    on_docker.phase("p", "Running")
    followers = [Follower(on_docker.cluster, "-n", on_docker.namespace, "p") for _ in range(5)]
    try:
        for follower in followers:
            assert follower.line() == b"begun\n"
        assert api.streams == 5
        assert len(readers(uid)) >= 5
    finally:
        for follower in followers:
            follower.kill()
    until(lambda: api.streams == 0, "the kubelet has let go")
    until(lambda: not readers(uid), "nothing reads on the host")
    assert logs(on_docker, "p", "--tail=1")


def readers(uid: str) -> list[str]:
    """The engine's command lines on the lab's host that read a log of this pod."""
    return [line for line in processes_with(f"il-{uid}-") if " logs " in line]


def test_a_log_of_a_deleted_pod_ends(on_docker: Stand, api: Api) -> None:
    on_docker.create("p", container={"command": shell("echo begun", "sleep 300")})
    on_docker.phase("p", "Running")
    follower = Follower(on_docker.cluster, "-n", on_docker.namespace, "p")
    assert follower.line() == b"begun\n"
    on_docker.cluster.delete(on_docker.path("p"), gracePeriodSeconds=1)
    try:
        follower.process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        follower.kill()
        raise
    until(lambda: api.streams == 0, "the kubelet has let go")


def figures(api: Api, uid: str) -> dict[str, Any]:
    found = [item for item in api.proxied("/stats/summary")["pods"] if item["podRef"]["uid"] == uid]
    return found[0] if found else {}


def test_figures_pods_and_health_through_the_api_servers_proxy(on_docker: Stand, api: Api) -> None:
    busy = shell("while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1; done")
    made = on_docker.create("p", containers=[{"name": name, "command": busy} for name in ("a", "b", "d")])
    uid = made["metadata"]["uid"]
    on_docker.phase("p", "Running")
    assert api.proxied("/healthz") == "ok"
    pods = api.proxied("/pods")
    assert uid in [item["metadata"]["uid"] for item in pods["items"]]
    assert {item["spec"]["nodeName"] for item in pods["items"]} == {on_docker.node}
    assert uid in [item["metadata"]["uid"] for item in api.proxied("/runningpods/")["items"]]
    first = until(lambda: figures(api, uid), "figures")
    assert first["podRef"] == {"name": "p", "namespace": on_docker.namespace, "uid": uid}
    assert [item["name"] for item in sorted(first["containers"], key=lambda c: str(c["name"]))] == ["a", "b", "d"]
    assert all(item["memory"]["workingSetBytes"] > 4096 for item in first["containers"])
    later = until(lambda: now if (now := figures(api, uid)) != first else None, "later figures")
    assert later["cpu"]["usageCoreNanoSeconds"] > first["cpu"]["usageCoreNanoSeconds"] > 0
    text = api.proxied("/metrics/resource")
    labels = f'namespace="{on_docker.namespace}",pod="p"'
    assert (
        len(re.findall(rf"^container_cpu_usage_seconds_total{{{labels},container=.*}} [0-9.]+ \d+$", text, re.M)) == 3
    )
    assert re.search(rf"^pod_cpu_usage_seconds_total{{{labels}}} ", text, re.MULTILINE)
    assert re.search(r"^node_cpu_usage_seconds_total [0-9.]+ \d+$", text, re.MULTILINE)
    assert re.search(r"^resource_scrape_error 0$", text, re.MULTILINE)
    assert "kubelet_running_pods" in api.proxied("/metrics")
    on_docker.cluster.delete(on_docker.path("p"), gracePeriodSeconds=0)
    until(lambda: uid not in str(api.proxied("/runningpods/")), "out of what runs")


def test_the_api_server_proxies_to_no_loopback_address(cluster: Cluster, on_mock: Stand, tmp_path: Path) -> None:
    """Logs work at 127.0.0.1, `nodes/<name>/proxy` does not: that is the API server's own rule."""
    with serving_pods(on_mock, "127.0.0.1", tmp_path / "certs"):
        done = cluster.run_kubectl("get", "--raw", f"/api/v1/nodes/{on_mock.node}/proxy/healthz")
        assert "address not allowed" in done.stderr
        on_mock.create(
            "p", metadata={"annotations": {"mock.interlink.eu/log": "said\n", "mock.interlink.eu/run": "60"}}
        )
        on_mock.phase("p", "Running")
        assert logs(on_mock, "p") == b"said\n"
