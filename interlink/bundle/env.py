"""A container's environment and its command line, as the kubelet works them out.

Source of the rules: `makeEnvironmentVariables` and `ExpandContainerCommandAndArgs` of the kubelet, checked
against recorded pods. envFrom comes first, later sources over earlier ones; then env in its order,
where a later duplicate wins; then service variables for names still unset. `$(NAME)` sees what was set
before it and the service variables, never the image's own ENV; `$$` is a dollar sign.

What a container gets::

    env = environment(request, container, Facts(allocatable, services))   # tuple[EnvVar, ...]
    command, args = arguments(container, env)                             # tuples of Text; () = not given
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from interlink.bundle import downward
from interlink.bundle.references import (
    MissingReference,
    Reference,
    encoded,
    env_from,
    env_value,
    find,
    secret_data,
)
from interlink.bundle.text import Text, concat, is_plain, literal, text
from interlink.errors import InvalidPod
from interlink.model.pod import Container, Json, PodRequest

_REFERENCE = re.compile(r"\$(?:(?P<escape>\$)|\((?P<name>[^)]*)\))")
_NAME = re.compile(r"[ -<>-~]+")  # printable ASCII without "=", as the API server admits


@dataclass(frozen=True)
class EnvVar:
    """One variable; its value may hold addresses that only the host knows. Never printed: it may be secret."""

    name: str
    value: Text = field(repr=False)


@dataclass(frozen=True)
class Facts:
    """What the environment takes from outside the request.

    `allocatable`: the node's, as Kubernetes writes quantities (None: not known, and a resourceFieldRef
    that needs it is refused). `services`: the variables of the namespace's services.
    """

    allocatable: Mapping[str, str] | None = None
    services: Mapping[str, str] = field(default_factory=dict)


def environment(request: PodRequest, container: Container, facts: Facts | None = None) -> tuple[EnvVar, ...]:
    """Return the container's variables, each name once.

    In a resolved request values are taken as they are; references in it are still resolved.
    Raises MissingReference for an object or key that is not there and not optional, InvalidPod for
    a value that no variable can hold, Unsupported for a resource of the node that is not known.
    """
    known = facts or Facts()
    values: dict[str, Text] = {}
    for index, source in enumerate(container.env_from):
        values.update(_imported(request, source, f"{container.path}.envFrom[{index}]"))
    services = {name: text(value) for name, value in known.services.items()}
    for index, variable in enumerate(container.env):
        path = f"{container.path}.env[{index}]"
        value = _Variable(request, container, known, path).value(variable, {**services, **values})
        if value is not None:
            values[_checked_name(variable, path)] = value
    values = {**values, **{name: value for name, value in services.items() if name not in values}}
    return tuple(EnvVar(name, value) for name, value in values.items())


def spelled(request: PodRequest, container: Container, facts: Facts | None = None) -> list[dict[str, Any]]:
    """Return env as entries that need neither objects nor services any more, and mean the same.

    What only the host knows stays a reference: a fieldRef stays one, and `$(NAME)` stays where NAME's value
    holds such an address. All else is a literal, with `$` doubled, because it will be expanded once.
    Raises what `environment` raises.
    """
    known = facts or Facts()
    values: dict[str, Text] = {}
    for index, source in enumerate(container.env_from):
        values.update(_imported(request, source, f"{container.path}.envFrom[{index}]"))
    entries = [_literal(name, value) for name, value in values.items()]
    services = {name: text(value) for name, value in known.services.items()}
    for index, variable in enumerate(container.env):
        path = f"{container.path}.env[{index}]"
        earlier = {**services, **values}
        value = _Variable(request, container, known, path).value(variable, earlier)
        if value is not None:
            name = _checked_name(variable, path)
            entries.append(_literal(name, value) if is_plain(value) else _open(name, variable, earlier))
            values[name] = value
    return [*entries, *(_literal(name, value) for name, value in services.items() if name not in values)]


def _literal(name: str, value: Text) -> dict[str, Any]:
    return {"name": name, "value": literal(value).replace("$", "$$")}


def _open(name: str, variable: Json, earlier: Mapping[str, Text]) -> dict[str, Any]:
    """Return an entry whose value the host has to complete."""
    if not variable.get("value"):
        return {"name": name, "valueFrom": variable["valueFrom"]}

    def look_up(mentioned: str) -> Text:
        value = earlier.get(mentioned, text(f"$({mentioned})"))
        return text(literal(value).replace("$", "$$") if is_plain(value) else f"$({mentioned})")

    pieces = _pieces(str(variable["value"]), look_up, dollar="$$")
    return {"name": name, "value": literal(concat(*pieces))}


def arguments(container: Container, env: tuple[EnvVar, ...]) -> tuple[tuple[Text, ...], tuple[Text, ...]]:
    """Return the container's command and args with variables expanded; () where the manifest gives none."""
    values = {variable.name: variable.value for variable in env}
    command = tuple(expand(str(word), values) for word in container.command or [])
    args = tuple(expand(str(word), values) for word in container.args or [])
    return command, args


def expand(value: str, values: Mapping[str, Text]) -> Text:
    """Replace `$(NAME)` by its value and `$$` by `$`; an unknown name stays as it is written."""
    return _expanded(value, lambda name: values.get(name, text(f"$({name})")))


def expand_strictly(value: str, values: Mapping[str, Text], *, field: str) -> Text:
    """Expand as `expand` does, but raise InvalidPod for an unknown name (the rule of subPathExpr)."""

    def known(name: str) -> Text:
        if name not in values:
            raise InvalidPod(f"missing value for {name!r}", field=field)
        return values[name]

    return _expanded(value, known)


def _expanded(value: str, look_up: Callable[[str], Text]) -> Text:
    return concat(*_pieces(value, look_up))


def _pieces(value: str, look_up: Callable[[str], Text], *, dollar: str = "$") -> Iterator[Text]:
    """Scan once from the left: what a variable brings in is never scanned again."""
    position = 0
    for match in _REFERENCE.finditer(value):
        yield text(value[position : match.start()])
        yield text(dollar) if match["escape"] else look_up(match["name"])
        position = match.end()
    yield text(value[position:])


@dataclass(frozen=True)
class _Variable:
    """Where one entry of env stands, to resolve it."""

    request: PodRequest
    container: Container
    facts: Facts
    path: str

    def value(self, variable: Json, earlier: Mapping[str, Text]) -> Text | None:
        """Return the value; None for an optional reference to nothing, which sets nothing."""
        literal = str(variable.get("value") or "")
        if literal:
            return text(literal) if self.request.resolved else expand(literal, earlier)
        source = variable.get("valueFrom") or {}
        return self._from(source) if source else ()

    def _from(self, source: Json) -> Text | None:
        pod, path = self.request.pod, f"{self.path}.valueFrom"
        if source.get("fieldRef") is not None:
            return downward.env_field(pod, source["fieldRef"], f"{path}.fieldRef")
        if source.get("resourceFieldRef") is not None:
            where = f"{path}.resourceFieldRef"
            reference = source["resourceFieldRef"]
            return text(downward.resource(pod, self.container, reference, self.facts.allocatable, where))
        for reference in env_value(source, path):
            return _keyed(self.request, reference)
        raise InvalidPod(f"cannot resolve {', '.join(sorted(source))}", field=path)


def _imported(request: PodRequest, source: Json, path: str) -> dict[str, Text]:
    """Return the variables that one entry of envFrom brings; names that no variable can have are skipped."""
    prefix = str(source.get("prefix") or "")
    found = {}
    for reference in env_from(source, path):
        thing = find(request, reference)
        if thing is not None:
            found = _strings(thing, reference)
    return {prefix + key: text(value) for key, value in found.items() if _NAME.fullmatch(prefix + key)}


def _keyed(request: PodRequest, reference: Reference) -> Text | None:
    thing = find(request, reference)
    values = _strings(thing, reference, only=reference.key) if thing is not None else {}
    if reference.key in values:
        return text(values[reference.key])
    if reference.optional:
        return None
    namespace, kind, name = request.pod.namespace, reference.kind, reference.name
    raise MissingReference(
        f"couldn't find key {reference.key} in {kind} {namespace}/{name}",
        kind=kind,
        name=name,
        key=reference.key,
        field=reference.field,
    )


def _strings(thing: Json, reference: Reference, *, only: str | None = None) -> dict[str, str]:
    """Return an object's text values (binaryData never becomes a variable)."""
    if reference.kind == "ConfigMap":
        values = {key: encoded(value, field=reference.field) for key, value in (thing.get("data") or {}).items()}
    else:
        values = secret_data(thing, field=reference.field)
    wanted = values if only is None else {key: value for key, value in values.items() if key == only}
    return {key: _decoded(value, key, reference) for key, value in wanted.items()}


def _decoded(value: bytes, key: str, reference: Reference) -> str:
    try:
        decoded = value.decode()
    except UnicodeDecodeError:
        decoded = "\0"
    if "\0" in decoded:
        where = f'key {key} of {reference.kind.lower()} "{reference.name}"'
        raise InvalidPod(f"{where} is binary, which no variable can hold", field=reference.field)
    return decoded


def _checked_name(variable: Json, path: str) -> str:
    name = str(variable.get("name") or "")
    if not _NAME.fullmatch(name):
        raise InvalidPod(f"{name!r} is not the name of a variable", field=f"{path}.name")
    return name
