"""The downward API: what a pod's own fields and resources read as, in variables and in files."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from interlink.bundle.text import HostValue, Text, text
from interlink.errors import InvalidPod, Unsupported
from interlink.model import quantity
from interlink.model.pod import Container, Json, Pod

Allocatable = Mapping[str, str]

_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]", re.DOTALL)

# The pod has one address of one family, so the plural forms are the singular ones.
_ENV_FIELDS: Mapping[str, Callable[[Pod], Text]] = {
    "metadata.name": lambda pod: text(pod.name),
    "metadata.namespace": lambda pod: text(pod.namespace),
    "metadata.uid": lambda pod: text(pod.uid),
    "spec.nodeName": lambda pod: text(pod.node_name),
    "spec.serviceAccountName": lambda pod: text(str(pod.spec.get("serviceAccountName") or "default")),
    "status.hostIP": lambda pod: (HostValue.HOST_IP,),
    "status.hostIPs": lambda pod: (HostValue.HOST_IP,),
    "status.podIP": lambda pod: (HostValue.POD_IP,),
    "status.podIPs": lambda pod: (HostValue.POD_IP,),
}
_FILE_FIELDS: Mapping[str, Callable[[Pod], str]] = {
    "metadata.name": lambda pod: pod.name,
    "metadata.namespace": lambda pod: pod.namespace,
    "metadata.uid": lambda pod: pod.uid,
    "metadata.labels": lambda pod: format_map(pod.labels),
    "metadata.annotations": lambda pod: format_map(pod.annotations),
}
_ESCAPES = {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v"}
_DEFAULTED = ("cpu", "memory", "ephemeral-storage")


def env_field(pod: Pod, reference: Json, field: str) -> Text:
    """Return what a variable's fieldRef stands for."""
    path = str(reference.get("fieldPath") or "")
    subscript = _subscripted(pod, path)
    if subscript is not None:
        return text(subscript)
    if path not in _ENV_FIELDS:
        raise InvalidPod(f"{path!r} is no field that a variable can show", field=f"{field}.fieldPath")
    return _ENV_FIELDS[path](pod)


def file_field(pod: Pod, reference: Json, field: str) -> str:
    """Return what a file's fieldRef holds."""
    path = str(reference.get("fieldPath") or "")
    subscript = _subscripted(pod, path)
    if subscript is not None:
        return subscript
    if path not in _FILE_FIELDS:
        raise InvalidPod(f"{path!r} is no field that a file can show", field=f"{field}.fieldPath")
    return _FILE_FIELDS[path](pod)


def resource(pod: Pod, container: Container, reference: Json, allocatable: Allocatable | None, field: str) -> str:
    """Return a resourceFieldRef's number: divided by the divisor and rounded up, as the kubelet does.

    A limit that is not set is the node's allocatable; Unsupported where that is not known.
    """
    named = str(reference.get("containerName") or container.name)
    target = pod.container(named)
    if target is None:
        raise InvalidPod(f"the pod has no container {named!r}", field=f"{field}.containerName")
    path = str(reference.get("resource") or "")
    part, _, name = path.partition(".")
    if part not in ("limits", "requests") or not (name in _DEFAULTED or name.startswith("hugepages-")):
        raise InvalidPod(f"{path!r} is no resource that can be shown", field=f"{field}.resource")
    amount = quantity.parse(_amount(target, part, name, allocatable, field))
    return str(math.ceil(amount / _divisor(reference, f"{field}.divisor")))


def format_map(values: Json) -> str:
    """Write labels or annotations as the kubelet does: sorted lines of key="value, quoted as in Go"."""
    return "\n".join(f"{key}={go_quote(str(values[key]))}" for key in sorted(values))


def go_quote(value: str) -> str:
    r"""Quote a string as Go's %q does.

    >>> print(go_quote('a"b\\\n\u2603\x7f'))
    "a\"b\\\n☃\x7f"
    """
    return '"' + "".join(_go_rune(rune) for rune in value) + '"'


def _go_rune(rune: str) -> str:
    if rune in '"\\':
        return "\\" + rune
    if rune.isprintable():
        return rune
    code = ord(rune)
    if rune in _ESCAPES:
        return _ESCAPES[rune]
    if code < 0x20 or code == 0x7F:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _divisor(reference: Json, field: str) -> Fraction:
    try:
        divisor = quantity.parse(reference.get("divisor") or "1")
    except quantity.QuantityError as error:
        raise InvalidPod(str(error), field=field) from None
    if divisor < 0:
        raise InvalidPod("must not be negative", field=field)
    return divisor or Fraction(1)


def _subscripted(pod: Pod, path: str) -> str | None:
    match = _SUBSCRIPT.fullmatch(path)
    if match is None:
        return None
    values = pod.labels if match[1] == "labels" else pod.annotations
    return str(values.get(match[2], ""))


def _amount(container: Container, part: str, name: str, allocatable: Allocatable | None, field: str) -> str:
    values = container.limits if part == "limits" else container.requests
    value = values.get(name)
    if part == "requests" or (value is not None and quantity.parse(value) != 0):
        return "0" if value is None else str(value)
    if allocatable is None or name not in allocatable:
        raise Unsupported(
            f"the container has no limit for {name}, and the node's allocatable is not known", field=field
        )
    return allocatable[name]
