"""All tables of tests/cases/bundle: one generator, one case per entry.

A case is a minimal pod with `metadata`, `spec` and `container` merged into it, `configmaps`, `secrets`
and `projected` (name: {key: text}) beside it, and what is expected of it, any of:

env, command, args   what the container gets; a host value is written <IL_POD_IP>
files                volume: {path: [mode, text]} or [mode, {base64: ...}]
docker, podman       runs of words that the launch holds; `lacks` are words that neither launch may hold
pause                runs of words of the pause container
volumes              arguments of `docker volume create`, one line each
refused              {kind of error: field}, with `says` a part of its message
passed               features under which the check passes
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlink import errors
from interlink.bundle import checks, docker, env, fields, files, mounts, network, text
from interlink.bundle.references import MissingReference
from interlink.model.pod import Pod, PodRequest

CASES = Path(__file__).parents[2] / "cases" / "bundle"
UID = "8c2b1f0e-0000-4000-8000-000000000001"
KINDS = {"InvalidPod": errors.InvalidPod, "Unsupported": errors.Unsupported, "MissingReference": MissingReference}


class Shown(Mapping[text.HostValue, str]):
    """Every host value, as cases write it."""

    def __getitem__(self, value: text.HostValue) -> str:
        return f"<{value.variable}>"

    def __iter__(self) -> Iterator[text.HostValue]:
        return iter(())

    def __len__(self) -> int:
        return 1


def cases() -> Iterator[Any]:
    for file in sorted(CASES.glob("*.yaml")):
        for case in yaml.safe_load(file.read_text()):
            yield pytest.param(case, id=f"{file.stem}: {case['what']}")


def encoded(value: Any) -> str:
    raw = base64.b64decode(value["base64"]) if isinstance(value, dict) else value.encode()
    return base64.b64encode(raw).decode()


def configmap(name: str, data: Mapping[str, Any]) -> dict[str, Any]:
    plain = {key: value for key, value in data.items() if isinstance(value, str)}
    binary = {key: value["base64"] for key, value in data.items() if not isinstance(value, str)}
    return {"metadata": {"name": name}, "data": plain, "binaryData": binary}


def request_of(case: Mapping[str, Any]) -> PodRequest:
    container = {"name": "c", "image": "busybox:1.36", **case.get("container", {})}
    spec = {"containers": [container], "restartPolicy": "Never", **case.get("spec", {})}
    metadata = {"name": "p", "namespace": "ns", "uid": UID, **case.get("metadata", {})}
    secrets = case.get("secrets", {}).items()
    return PodRequest(
        Pod({"metadata": metadata, "spec": spec, **case.get("top", {})}),
        tuple(configmap(*item) for item in case.get("configmaps", {}).items()),
        tuple({"metadata": {"name": n}, "data": {k: encoded(v) for k, v in d.items()}} for n, d in secrets),
        tuple(configmap(*item) for item in case.get("projected", {}).items()),
        resolved=case.get("resolved", False),
    )


def features_of(case: Mapping[str, Any]) -> checks.Features:
    given = case.get("features", {})
    return checks.Features(
        supports=fields.ENGINE | set(given.get("supports", [])),
        hostpath_roots=tuple(given.get("hostpath_roots", ["/srv"])),
        resources=frozenset(given.get("resources", [])),
        ignore=tuple(given.get("ignore", [])),
    )


def facts_of(case: Mapping[str, Any]) -> env.Facts:
    return env.Facts(case.get("allocatable"), case.get("services", {}))


def launched(case: Mapping[str, Any], request: PodRequest, engine: str) -> list[str]:
    container = request.pod.containers[case.get("index", 0)]
    variables = env.environment(request, container, facts_of(case))
    volumes = files.volume_files(request, allocatable=case.get("allocatable"))
    site = site_of(case, engine)
    launch = docker.launch(request.pod, container, site, variables, volumes)
    return [text.literal(word, Shown()) for word in launch.words]


def site_of(case: Mapping[str, Any], engine: str) -> docker.Site:
    return docker.Site(
        "srv",
        engine,
        dns=network.ClusterDns(tuple(case.get("dns", ()))),
        nvidia=case.get("nvidia", False),
        message=case.get("message", False),
    )


def everything(case: Mapping[str, Any]) -> None:
    """Do all that is done with a pod before it is shipped."""
    request = checks.admit(request_of(case), features_of(case))
    volumes = files.volume_files(request, allocatable=case.get("allocatable"))
    for engine in ("docker", "podman"):
        docker.pause(request.pod, site_of(case, engine))
        for container in request.pod.containers:
            variables = env.environment(request, container, facts_of(case))
            docker.launch(request.pod, container, site_of(case, engine), variables, volumes)


def holds(words: list[str], run: list[str]) -> bool:
    wanted = [str(word) for word in run]
    return any(words[start : start + len(wanted)] == wanted for start in range(len(words)))


@pytest.mark.parametrize("case", list(cases()))
def test_case(case: dict[str, Any]) -> None:
    checked = False
    for key, test in EXPECTATIONS.items():
        if key in case:
            test(case)
            checked = True
    assert checked, "a case must expect something"


def expect_refused(case: Mapping[str, Any]) -> None:
    ((kind, field),) = case["refused"].items()
    with pytest.raises(KINDS[kind]) as caught:
        everything(case)
    assert type(caught.value) is KINDS[kind]
    assert caught.value.field == field
    assert case.get("says", "") in str(caught.value)


def expect_passed(case: Mapping[str, Any]) -> None:
    everything(case)


def expect_env(case: Mapping[str, Any]) -> None:
    request = request_of(case)
    got = env.environment(request, request.pod.containers[case.get("index", 0)], facts_of(case))
    assert {variable.name: text.literal(variable.value, Shown()) for variable in got} == case["env"]


def expect_arguments(case: Mapping[str, Any]) -> None:
    request = request_of(case)
    container = request.pod.containers[case.get("index", 0)]
    command, args = env.arguments(container, env.environment(request, container, facts_of(case)))
    assert [text.literal(word, Shown()) for word in command] == case.get("command", [])
    assert [text.literal(word, Shown()) for word in args] == case.get("args", [])


def expect_files(case: Mapping[str, Any]) -> None:
    found = files.volume_files(request_of(case), allocatable=case.get("allocatable"))
    shown = {name: {file.path: [file.mode, file.data] for file in listed} for name, listed in found.items()}
    wanted = {
        name: {path: [mode, base64.b64decode(encoded(data))] for path, (mode, data) in listed.items()}
        for name, listed in case["files"].items()
    }
    assert shown == wanted


def expect_launch(engine: str) -> Any:
    def expect(case: Mapping[str, Any]) -> None:
        words = launched(case, checks.admit(request_of(case), features_of(case)), engine)
        for run in case[engine]:
            assert holds(words, run), words
        for word in case.get("lacks", []):
            assert word not in words

    return expect


def expect_pause(case: Mapping[str, Any]) -> None:
    for engine in ("docker", "podman"):
        words = [text.literal(word, Shown()) for word in docker.pause(request_of(case).pod, site_of(case, engine))]
        for run in case["pause"]:
            assert holds(words, run), words
        for word in case.get("pause_lacks", []):
            assert word not in words


def expect_volumes(case: Mapping[str, Any]) -> None:
    pod = request_of(case).pod
    for engine, wanted in case["volumes"].items():
        got = [" ".join(mounts.create_volume(pod, volume, engine, {"a": "b"})) for volume in mounts.empty_dirs(pod)]
        assert got == wanted


EXPECTATIONS = {
    "refused": expect_refused,
    "passed": expect_passed,
    "env": expect_env,
    "command": expect_arguments,
    "args": expect_arguments,
    "files": expect_files,
    "docker": expect_launch("docker"),
    "podman": expect_launch("podman"),
    "pause": expect_pause,
    "volumes": expect_volumes,
}
