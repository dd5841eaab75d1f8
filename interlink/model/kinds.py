"""Checks for values that a user writes: each returns the value as the program wants it, or raises ValueError.

The message of the ValueError says what would be right; the caller knows where the value stands.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping
from fractions import Fraction
from ipaddress import ip_address
from typing import Any

from interlink.model import quantity, sshargs

Kind = Callable[[Any], Any]

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_TRUE, _FALSE = ("yes", "true", "on", "1"), ("no", "false", "off", "0")


def text(value: Any) -> str:
    """One line of text that is not empty; numbers are taken as they are written."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError("write a text")
    line = str(value).strip()
    if not line or any(ord(c) < 32 for c in line):
        raise ValueError("write one line of text")
    return line


def lines(value: Any) -> str:
    """Text of one or several lines, or a list of lines."""
    if isinstance(value, list | tuple):
        value = "\n".join(text(line) for line in value)
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("write shell commands, one a line")
    return value


def mapping(value: Any) -> dict[str, Any]:
    """A mapping of names to whatever the driver wants of it."""
    if not isinstance(value, Mapping):
        raise ValueError("write a mapping")
    return {str(key): item for key, item in value.items()}


def quantity_text(value: Any) -> str:
    """A Kubernetes quantity, kept as it is written."""
    if quantity.parse(value) < 0:
        raise ValueError("write a quantity of 0 or more")
    return str(value)


def boolean(value: Any) -> bool:
    """true or false, in any of YAML's and Ansible's spellings."""
    word = str(value).lower()
    if word not in _TRUE + _FALSE:
        raise ValueError("write true or false")
    return word in _TRUE


def integer(least: int, most: int | None = None) -> Kind:
    """A whole number within these limits."""
    bounds = f"of at least {least}" if most is None else f"from {least} to {most}"

    def check(value: Any) -> int:
        if isinstance(value, bool) or not re.fullmatch(r"[+-]?[0-9]{1,18}", str(value).strip()):
            raise ValueError(f"write a whole number {bounds}")
        number = int(str(value))
        if number < least or (most is not None and number > most):
            raise ValueError(f"write a whole number {bounds}")
        return number

    return check


def seconds(value: Any) -> float:
    """A duration in seconds above zero, whole or not."""
    try:
        number = float(str(value)) if not isinstance(value, bool) else 0.0
    except ValueError:
        number = 0.0
    if not 0 < number < 1e9:
        raise ValueError("write a number of seconds above 0")
    return number


def size(value: Any) -> int:
    """Bytes, written as a Kubernetes quantity."""
    return quantity.to_bytes(value)


def choice(*words: str) -> Kind:
    """One of these words."""

    def check(value: Any) -> str:
        if value not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return str(value)

    return check


def listing(kind: Kind) -> Kind:
    """A list, each of a kind; a single value stands for a list of one."""

    def check(value: Any) -> list[Any]:
        items = value if isinstance(value, list | tuple) else [value]
        return [kind(item) for item in items]

    return check


def argv(value: Any) -> list[str]:
    """A command: a list of arguments, or one line that is split as a shell splits it."""
    words = [text(word) for word in value] if isinstance(value, list | tuple) else shlex.split(text(value))
    if not words:
        raise ValueError("write a command")
    return words


def ssh_arguments(value: Any) -> str:
    """Arguments of ssh(1) on one line."""
    line = text(value)
    sshargs.parse(line)
    return line


def remote_directory(value: Any) -> str:
    """A directory on a host: absolute, or below the home directory as `~/...`."""
    path = text(value).rstrip("/")
    if not path.startswith(("/", "~/")) or "/../" in f"{path}/":
        raise ValueError("write an absolute path below /, or one that starts with ~/, without ..")
    return path


def absolute_path(value: Any) -> str:
    """A path from the root, without `..`; "/" itself is allowed."""
    path = text(value)
    if not path.startswith("/") or ".." in path.split("/"):
        raise ValueError("write an absolute path without ..")
    return path.rstrip("/") or "/"


def address(value: Any) -> str:
    """An IP address."""
    try:
        return str(ip_address(text(value)))
    except ValueError:
        raise ValueError("write an IP address") from None


def node_name(value: Any) -> str:
    """A name that Kubernetes accepts for a node (RFC 1123 subdomain)."""
    name = text(value)
    if len(name) > 253 or not _SUBDOMAIN.fullmatch(name):
        raise ValueError("a node's name consists of lower-case letters, digits, - and .")
    return name


def labels(value: Any) -> dict[str, str]:
    """Kubernetes labels as a mapping of key to value."""
    if not isinstance(value, Mapping):
        raise ValueError("write labels as a mapping, such as {example.org/site: bonn}")
    return {_label_key(key): label_value(item) for key, item in value.items()}


def taints(value: Any) -> list[dict[str, str]]:
    """Node taints, each a mapping with key, value and effect, or a line `key=value:Effect`."""
    if not isinstance(value, list | tuple):
        raise ValueError('write taints as a list, such as ["example.org/gpu=true:NoSchedule"]')
    return [_taint(item) for item in value]


def capacity(value: Any) -> dict[str, str]:
    """Resource quantities as Kubernetes writes them: cpu, memory, pods, nvidia.com/gpu, ..."""
    if not isinstance(value, Mapping):
        raise ValueError("write a mapping of resources, such as {cpu: 64, memory: 256Gi, nvidia.com/gpu: 4}")
    return {_resource(key): _amount(key, item) for key, item in value.items()}


def _resource(key: Any) -> str:
    name = _label_key(key)
    if "/" not in name and name not in ("cpu", "memory", "pods", "ephemeral-storage"):
        raise ValueError(f"{name!r} is no resource: write cpu, memory, pods, ephemeral-storage or DOMAIN/NAME")
    return name


def _amount(key: Any, value: Any) -> str:
    exact = quantity.parse(value)
    if exact < 0 or (key not in ("cpu", "memory", "ephemeral-storage") and exact.denominator != 1):
        raise ValueError(f"{key}: {value!r} is no possible amount")
    return _plain(value, exact)


def _plain(value: Any, exact: Fraction) -> str:
    return str(value) if isinstance(value, str) else quantity.format_cpu(exact)


def _label_key(key: Any) -> str:
    prefix, slash, name = str(key).rpartition("/")
    if slash and not (_SUBDOMAIN.fullmatch(prefix) and len(prefix) <= 253):
        raise ValueError(f"{key!r} is no Kubernetes name: before the slash stands a DNS name")
    if not _NAME.fullmatch(name):
        raise ValueError(f"{key!r} is no Kubernetes name: use letters, digits, -, _ and ., at most 63")
    return str(key)


def label_value(value: Any) -> str:
    """The value of a Kubernetes label; it may be empty."""
    word = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    if word and not _NAME.fullmatch(word):
        raise ValueError(f"{word!r} is no label value: use letters, digits, -, _ and ., at most 63")
    return word


def _taint(item: Any) -> dict[str, str]:
    if isinstance(item, str):
        rest, _, effect = item.rpartition(":")
        key, _, value = rest.partition("=")
        item = {"key": key, "value": value, "effect": effect}
    if not isinstance(item, Mapping) or not set(item) <= {"key", "value", "effect"} or not item.get("key"):
        raise ValueError("write a taint as key=value:Effect, or as a mapping with key, value and effect")
    effect = item.get("effect", "NoSchedule")
    if effect not in _EFFECTS:
        raise ValueError(f"a taint's effect is one of {', '.join(_EFFECTS)}")
    return {"key": _label_key(item["key"]), "value": label_value(item.get("value")), "effect": effect}
