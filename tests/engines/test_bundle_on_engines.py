"""What the bundle says, done by real engines: arguments, variables, files and limits arrive as they were meant."""

from __future__ import annotations

import base64
import io
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from interlink.bundle import checks, docker, env, files, mounts, network, tar
from interlink.drivers.docker import scripts
from interlink.model.pod import Pod, PodRequest
from tests.lab import process
from tests.lab.hosts import Engine

pytestmark = pytest.mark.lab

TORTURE = [
    "a b  c",
    "it's",
    'say "hi"',
    "back\\slash \\n \\\\ end\\",
    "$HOME ${HOME} $1 $? $#",
    "`id` $(id)",
    "; echo injected; #",
    "| & && || > /tmp/x < y",
    "* ? [a-z] {a,b} ~ !",
    "line1\nline2\n",
    "\ttab\rcr",
    "",
    " ",
    "-n",
    "--privileged",
    "--",
    "--flag=va lue",
    "héllo wörld ☃ \U0001f926",
    "%s %d %% %",
    "'\"'\"'",
    "a,b:c=d@e",
    "\x01\x1b[31m\x7f",
    "x" * 100_000,
    "last\r",
]


@pytest.fixture(params=["docker", "podman"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found = request.getfixturevalue(f"{request.param}_host").engine
    assert isinstance(found, Engine)
    return found


class Runner:
    """Runs the only container of a pod as a driver's script would, attached, and returns its stdout."""

    def __init__(self, engine: Engine, place: Path) -> None:
        self.engine, self.place = engine, place
        self.uid = f"b-{os.getpid()}-{place.name[:20].lower().replace('_', '-')}".strip("-")

    def __call__(self, request: PodRequest, features: checks.Features | None = None) -> bytes:
        request = checks.admit(request, features or checks.Features())
        (container,) = request.pod.containers
        site = docker.Site("bundle-test", self.engine.name)
        volumes = files.volume_files(request)
        variables = env.environment(request, container)
        launch = docker.launch(request.pod, container, site, variables, volumes)
        scope = mounts.Scope(request.pod, volumes, variables)
        entries = [entry for name, found in volumes.items() for entry in self._volume(request.pod, name, found)]
        entries += [tar.File(f"env/{container.name}", launch.env.file), *mounts.missing(scope)]
        entries += [tar.File(f"environ/{container.name}", launch.env.unassigned)]
        entries += [tar.File("environ.sh", scripts.text("environ").encode())]
        resolver = network.resolv_conf(request.pod, site.dns)
        entries += [tar.File("resolv.conf", resolver, 0o644)] if resolver else []
        unpack = ["sh", "-c", 'umask 077; exec tar -xpf - -C "$0"', str(self.place)]
        subprocess.run(unpack, input=tar.pack(entries), check=True)
        script = f"IL_POD={self.place} IL_BIN={self.place} IL_ATTEMPT=0 IL_USER=0 IL_HOST_IP=192.0.2.1\n"
        script += launch.command_line(f'"$@" run --pull never --rm --name il-{self.uid}') + " < /dev/null\n"
        argv = ["sh", "-s", *self.engine.command]
        environment = {**process.clean_environment(), **self.engine.env}
        done = subprocess.run(
            argv, input=script.encode(), capture_output=True, env=environment, check=False, timeout=60
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    @staticmethod
    def _volume(pod: Pod, name: str, found: Any) -> tuple[tar.Entry, ...]:
        group = pod.security.get("fsGroup") is not None
        return tar.under(f"vol/{name}", files.layout(found, "..2026_01_01_00_00_00.0", group=group))

    def pod(self, command: list[str], *, spec: dict[str, Any] | None = None, **container: Any) -> Pod:
        body = {"name": "c", "image": "busybox:1.36", "command": command, **container}
        about = {"name": "p", "uid": self.uid}
        return Pod({"metadata": about, "spec": {"restartPolicy": "Never", "containers": [body], **(spec or {})}})


@pytest.fixture
def run(engine: Engine, tmp_path: Path) -> Iterator[Runner]:
    tmp_path.chmod(0o755)
    runner = Runner(engine, tmp_path)
    yield runner
    engine.remove(*engine.containers(f"label=interlink.eu/uid={runner.uid}"))


def test_arguments_arrive_byte_for_byte(run: Runner) -> None:
    argv = [word for word in TORTURE if "$" not in word]
    out = run(PodRequest(run.pod(["sh", "-c", "cat /proc/$$$$/cmdline; true", "zero"], args=argv)))
    assert out.split(b"\0")[:-1] == [
        word.encode() for word in ("sh", "-c", "cat /proc/$$/cmdline; true", "zero", *argv)
    ]


def test_arguments_with_dollars(run: Runner) -> None:
    words = ["$HOME", "${HOME}", "`id`", "$1 $? $#"]
    out = run(PodRequest(run.pod(["sh", "-c", "cat /proc/$$$$/cmdline; true", "zero"], args=words)))
    assert out.split(b"\0")[4:-1] == [word.encode() for word in words]


def test_variables_arrive_byte_for_byte(run: Runner) -> None:
    wanted = {f"T_{number}": word for number, word in enumerate(TORTURE)}
    wanted.update({"T.dotted": "x", "T-dash": "  y  ", "1T": "#z", "T_HUGE": "h\n" * 60_000})
    wanted.update({"app.conf": "a = b\n[c]\n", "T.long": "é" * 40_000, "#T": "x", "T T": "y\n"})
    given = [{"name": name, "value": value} for name, value in wanted.items()]
    out = run(PodRequest(run.pod(["cat", "/proc/self/environ"], env=given)))
    arrived = dict(entry.decode().split("=", 1) for entry in out.split(b"\0")[:-1])
    assert {name: arrived.get(name) for name in wanted} == wanted
    assert set(arrived) - set(wanted) <= {"PATH", "HOSTNAME", "HOME"}
    assert arrived["HOSTNAME"] == "p"


def test_files_arrive_byte_for_byte(run: Runner) -> None:
    binary = bytes(range(256)) * 40
    request = PodRequest(
        run.pod(
            ["tar", "-chf", "-", "-C", "/v", "."],
            spec={
                "volumes": [
                    {
                        "name": "v",
                        "configMap": {
                            "name": "cm",
                            "defaultMode": 0o440,
                            "items": [
                                {"key": "text", "path": "a.txt"},
                                {"key": "bin", "path": "deep/er/b,c d", "mode": 0o600},
                                {"key": "text", "path": "ünï", "mode": 0o777},
                            ],
                        },
                    }
                ]
            },
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
        ),
        configmaps=(
            {
                "metadata": {"name": "cm"},
                "data": {"text": "no newline\r\n\\n"},
                "binaryData": {"bin": base64.b64encode(binary).decode()},
            },
        ),
    )
    with tarfile.open(fileobj=io.BytesIO(run(request))) as archive:
        read = {}
        for member in archive.getmembers():
            stored = archive.extractfile(member)
            if member.isfile() and stored and "/." not in member.name[1:]:
                read[member.name] = (member.mode, stored.read())
    assert read == {
        "./a.txt": (0o440, b"no newline\r\n\\n"),
        "./deep/er/b,c d": (0o600, binary),
        "./ünï": (0o777, b"no newline\r\n\\n"),
    }


def test_mounts_at_odd_places(run: Runner, tmp_path: Path) -> None:
    odd = tmp_path / 'a,b "c" d:e=f'
    odd.mkdir()
    (odd / "file").write_text("seen")
    target = '/m," x=y'
    script = f"cat '{target}/file'; cat /one; ls -A /none | wc -l; (: > '{target}/new') 2>/dev/null || echo sealed"
    request = PodRequest(
        run.pod(
            ["sh", "-c", script],
            spec={
                "volumes": [
                    {"name": "h", "hostPath": {"path": str(odd)}},
                    {"name": "v", "configMap": {"name": "cm"}},
                ]
            },
            volumeMounts=[
                {"name": "h", "mountPath": target, "readOnly": True},
                {"name": "v", "mountPath": "/one", "subPath": "k"},
                {"name": "v", "mountPath": "/none", "subPath": "absent"},
            ],
        ),
        configmaps=({"metadata": {"name": "cm"}, "data": {"k": "one\n"}},),
    )
    out = run(request, checks.Features(hostpath_roots=(str(tmp_path),)))
    assert out.decode().splitlines() == ["seenone", "0", "sealed"]


def test_identity_limits_and_names(run: Runner) -> None:
    script = """id -u; id -g; id -G; grep CapBnd /proc/self/status; grep NoNewPrivs /proc/self/status; pwd; hostname
    cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null
    (: > /x) 2>/dev/null || echo sealed; cat /etc/resolv.conf; cat /v/k"""
    security = {"runAsUser": 1000, "runAsGroup": 3000, "supplementalGroups": [5000], "fsGroup": 6000}
    own = {
        "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]},
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
    }
    request = PodRequest(
        run.pod(
            ["sh", "-c", script],
            spec={
                "securityContext": security,
                "hostname": "my-host",
                "dnsPolicy": "None",
                "dnsConfig": {"nameservers": ["192.0.2.1"], "searches": ["a.example"]},
                "volumes": [{"name": "v", "secret": {"secretName": "s", "defaultMode": 0o444}}],
            },
            workingDir="/tmp",
            securityContext=own,
            resources={"limits": {"memory": "32Mi", "cpu": "500m"}},
            volumeMounts=[{"name": "v", "mountPath": "/v"}],
        ),
        secrets=({"metadata": {"name": "s"}, "data": {"k": "a2V5"}},),
    )
    assert run(request).decode().splitlines() == [
        "1000",
        "3000",
        "3000 5000 6000",
        "CapBnd:\t0000000000000400",
        "NoNewPrivs:\t1",
        "/tmp",
        "my-host",
        str(32 << 20),
        "sealed",
        "search a.example",
        "nameserver 192.0.2.1",
        "key",
    ]
