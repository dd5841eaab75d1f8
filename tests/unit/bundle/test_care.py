"""Probes and hooks as data."""

from __future__ import annotations

from typing import Any

import pytest

from interlink.bundle import care
from interlink.bundle.text import literal
from interlink.errors import InvalidPod
from interlink.model.pod import Container
from interlink.model.status import Kind


def container(**raw: Any) -> Container:
    return Container({"name": "c", "image": "i", **raw}, Kind.MAIN, "spec.containers[0]")


def words(action: care.Action) -> list[str]:
    return [literal(word) for word in action]


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        ({"exec": {"command": ["a", "b c"]}}, ["exec", "a", "b c"]),
        ({"httpGet": {"port": 80}}, ["http", "http", "", "80", "/"]),
        (
            {"httpGet": {"port": "web", "path": "x?y", "scheme": "HTTPS", "host": "h", "httpHeaders": [{"name": "A"}]}},
            ["http", "https", "h", "8443", "/x?y", "A: "],
        ),
        ({"tcpSocket": {"port": "81"}}, ["tcp", "", "81"]),
        ({"grpc": {"port": 82, "service": "s"}}, ["grpc", "82", "s"]),
        ({"sleep": {"seconds": 3}}, ["sleep", "3"]),
    ],
)
def test_actions(action: dict[str, Any], expected: list[str]) -> None:
    one = container(ports=[{"name": "web", "containerPort": 8443}], readinessProbe=action)
    [probe] = care.of(one).probes
    assert words(probe.action) == expected
    assert (probe.initial, probe.period, probe.timeout, probe.success, probe.failure) == (0, 10, 1, 1, 3)


@pytest.mark.parametrize(
    "action",
    [
        {"exec": {"command": []}},
        {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}},
        {"tcpSocket": {"port": "unknown"}},
        {"tcpSocket": {"port": 70000}},
        {"httpGet": {"port": 80, "path": "/a\r\nHost: b"}},
        {"httpGet": {"port": 80, "scheme": "FTP"}},
        {"sleep": {"seconds": -1}},
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(action: dict[str, Any]) -> None:
    with pytest.raises(InvalidPod) as error:
        care.of(container(lifecycle={"preStop": action}))
    assert str(error.value.field).startswith("spec.containers[0].lifecycle.preStop")


def test_exec_probes_are_expanded_from_literal_variables_and_hooks_are_not() -> None:
    env = [{"name": "A", "value": "$(B)"}, {"name": "F", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]
    command = {"exec": {"command": ["$(A)", "$$(A)", "$(F)"]}}
    one = container(env=env, livenessProbe=command, lifecycle={"postStart": command})
    cared = care.of(one)
    assert words(cared.probes[0].action) == ["exec", "$(B)", "$(A)", "$(F)"]
    assert words(dict(cared.hooks)["poststart"]) == ["exec", "$(A)", "$$(A)", "$(F)"]


def test_spelled_commands_mean_the_same_without_the_env() -> None:
    env = [{"name": "A", "value": "$$x $(B)"}]
    raw = {"name": "c", "env": env, "startupProbe": {"exec": {"command": ["$(A) $$ $(C)"]}, "periodSeconds": 3}}
    before = care.of(container(**raw)).probes[0]
    after = care.of(container(**{**care.spelled(raw), "env": [{"name": "C", "value": "no"}]})).probes[0]
    assert words(before.action) == ["exec", "$$x $(B) $ $(C)"]
    assert after == before
