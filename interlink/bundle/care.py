"""A container's probes and lifecycle hooks, as what has to be done and when; pure.

What an action asks of the host is a list of words: `exec` with an argument list, `http` with scheme, host
("" is the pod's address), port, path and headers, `tcp` with host and port, `grpc` with port and service,
`sleep` with seconds. A driver gives the words their meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from interlink.bundle.env import expand
from interlink.bundle.text import Text, literal, text, texts
from interlink.errors import InvalidPod
from interlink.model.pod import Container, Json

PROBES = {"startup": "startupProbe", "readiness": "readinessProbe", "liveness": "livenessProbe"}
HOOKS = {"poststart": "postStart", "prestop": "preStop"}
_LAST_PORT = 65535

Action = tuple[Text, ...]


@dataclass(frozen=True)
class Probe:
    """One probe; times in seconds, as Kubernetes defaults them. `grace` is None where the pod's own holds."""

    kind: str
    action: Action
    initial: int = 0
    period: int = 10
    timeout: int = 1
    success: int = 1
    failure: int = 3
    grace: int | None = None


@dataclass(frozen=True)
class Care:
    """All that is done to a container while it runs. `hooks` by their names in HOOKS."""

    probes: tuple[Probe, ...] = ()
    hooks: tuple[tuple[str, Action], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.probes or self.hooks)

    @property
    def kinds(self) -> tuple[str, ...]:
        return (*(name for name, _ in self.hooks), *(probe.kind for probe in self.probes))


def of(container: Container) -> Care:
    """Return a container's probes and hooks; InvalidPod, naming the field, for what cannot be meant."""
    lifecycle = container.raw.get("lifecycle") or {}
    hooks = [
        (name, _action(container, lifecycle[key], f"lifecycle.{key}"))
        for name, key in HOOKS.items()
        if lifecycle.get(key)
    ]
    return Care(tuple(_probes(container)), tuple(hooks))


def spelled(raw: Json) -> dict[str, Any]:
    """Return a container's manifest in which the commands of exec probes need its env no more.

    `$` is doubled, because they will be expanded once more. A kubelet expands from literal variables alone.
    """
    changed: dict[str, Any] = {}
    for key in PROBES.values():
        command = ((raw.get(key) or {}).get("exec") or {}).get("command")
        if command:
            words = [literal(word).replace("$", "$$") for word in _expanded(raw, command)]
            changed[key] = {**raw[key], "exec": {**raw[key]["exec"], "command": words}}
    return {**raw, **changed}


def _expanded(raw: Json, command: list[str]) -> Action:
    known = {v["name"]: text(str(v.get("value") or "")) for v in raw.get("env") or [] if not v.get("valueFrom")}
    return tuple(expand(str(word), known) for word in command)


def _probes(container: Container) -> Iterator[Probe]:
    for kind, key in PROBES.items():
        raw = container.raw.get(key)
        if raw:
            yield Probe(
                kind,
                _action(container, raw, key, expands=True),
                initial=raw.get("initialDelaySeconds") or 0,
                period=raw.get("periodSeconds") or 10,
                timeout=raw.get("timeoutSeconds") or 1,
                success=raw.get("successThreshold") or 1,
                failure=raw.get("failureThreshold") or 3,
                grace=raw.get("terminationGracePeriodSeconds"),
            )


def _action(container: Container, raw: Json, key: str, *, expands: bool = False) -> Action:
    path = f"{container.path}.{key}"
    given = [name for name in _ACTIONS if raw.get(name) is not None]
    if len(given) != 1:
        raise InvalidPod(f"must have exactly one of {', '.join(_ACTIONS)}", field=path)
    name = given[0]
    if expands and name == "exec":
        return (text("exec"), *_expanded(container.raw, list(_exec(container, raw["exec"], f"{path}.exec"))))
    word, arguments = _ACTIONS[name]
    return texts(word, *arguments(container, raw[name], f"{path}.{name}"))


def _http(container: Container, raw: Json, path: str) -> Iterator[str]:
    scheme = str(raw.get("scheme") or "HTTP").lower()
    if scheme not in ("http", "https"):
        raise InvalidPod("must be HTTP or HTTPS", field=f"{path}.scheme")
    yield scheme
    yield _plain(str(raw.get("host") or ""), f"{path}.host")
    yield _port(container, raw.get("port") or (443 if scheme == "https" else 80), f"{path}.port")
    target = str(raw.get("path") or "/")
    yield _plain(target if target.startswith("/") else f"/{target}", f"{path}.path")
    for index, header in enumerate(raw.get("httpHeaders") or []):
        yield _plain(f"{header.get('name')}: {header.get('value') or ''}", f"{path}.httpHeaders[{index}]")


def _tcp(container: Container, raw: Json, path: str) -> Iterator[str]:
    yield _plain(str(raw.get("host") or ""), f"{path}.host")
    yield _port(container, raw.get("port"), f"{path}.port")


def _grpc(container: Container, raw: Json, path: str) -> Iterator[str]:
    yield _port(container, raw.get("port"), f"{path}.port")
    yield _plain(str(raw.get("service") or ""), f"{path}.service")


def _sleep(_: Container, raw: Json, path: str) -> Iterator[str]:
    seconds = raw.get("seconds")
    if not isinstance(seconds, int) or seconds < 0:
        raise InvalidPod("must be 0 or more", field=f"{path}.seconds")
    yield str(seconds)


def _plain(value: str, path: str) -> str:
    """Refuse what would end a line of the request early."""
    if any(character in value for character in "\r\n\0"):
        raise InvalidPod("holds a line break", field=path)
    return value


def _port(container: Container, port: object, path: str) -> str:
    """Return a port's number; its name is that of one of the container's ports."""
    if isinstance(port, str) and not port.isdigit():
        named = [item.get("containerPort") for item in container.ports if item.get("name") == port]
        if not named:
            raise InvalidPod(f"the container has no port {port!r}", field=path)
        port = named[0]
    number = int(str(port)) if str(port).isdigit() else 0
    if not 0 < number <= _LAST_PORT:
        raise InvalidPod(f"{port!r} is no port number", field=path)
    return str(number)


def _exec(container: Container, raw: Json, path: str) -> Iterator[str]:
    command = raw.get("command") or []
    if not command:
        raise InvalidPod("is missing", field=f"{path}.command")
    yield from map(str, command)


# how the manifest names an action: our word for it, and its arguments
_ACTIONS: dict[str, tuple[str, Callable[[Container, Json, str], Iterator[str]]]] = {
    "exec": ("exec", _exec),
    "httpGet": ("http", _http),
    "tcpSocket": ("tcp", _tcp),
    "grpc": ("grpc", _grpc),
    "sleep": ("sleep", _sleep),
}
