"""What the host printed (show.sh) to statuses; pure. Knows docker's and podman's dialects of inspect."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from interlink.errors import OutcomeUnknown
from interlink.model.driver import PodEvent

Record = dict[str, str]

_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d+))? ?(Z|[+-]\d\d:?\d\d)?(?: .*)?",
)


@dataclass
class Evidence:
    """All that was printed of one pod: its skeleton, our records, the engine's answers."""

    uid: str
    skeleton: Mapping[str, Any] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)  # container (".pod": the pod) -> variables
    messages: dict[str, str] = field(default_factory=dict)  # container -> why it waits
    engine: dict[str, dict[int, Mapping[str, Any]]] = field(default_factory=dict)  # container -> attempt -> inspect
    last_words: dict[tuple[str, int], str] = field(default_factory=dict)  # termination messages by attempt
    here: bool = False  # the bundle is still in place
    kept: bool = False  # deleted; this is the final picture
    going: bool = False  # there is a tombstone


@dataclass
class Shown:
    """The output of one `il_show`, taken apart."""

    taken_at: datetime
    host_ip: str = ""
    offset: int = 0
    pods: dict[str, Evidence] = field(default_factory=dict)
    events: list[PodEvent] = field(default_factory=list)


def parse(output: str) -> Shown:
    """Take the output of `il_show` apart; OutcomeUnknown if its end is missing."""
    lines = output.splitlines()
    if not lines or lines[-1] != "E":
        raise OutcomeUnknown("the host's answer about its pods is incomplete")
    shown = Shown(datetime.now(timezone.utc))
    skeletons: dict[str, list[str]] = {}
    for line in lines[:-1]:
        tag, _, rest = line.partition(" ")
        if tag in _TAGS:
            _TAGS[tag](shown, rest)
        else:
            _file(shown, skeletons, line)
    for uid, text in skeletons.items():
        _pod(shown, uid).skeleton = json.loads("\n".join(text))
    return shown


def _pod(shown: Shown, uid: str) -> Evidence:
    return shown.pods.setdefault(uid, Evidence(uid))


def _file(shown: Shown, skeletons: dict[str, list[str]], line: str) -> None:
    """Take a line `pods/<uid>/state/<container>:text` as grep prints it."""
    path, _, text = line.partition(":")
    parts = path.split("/")
    if len(parts) < 3 or parts[0] not in ("pods", "kept"):
        return
    uid, name = parts[1], parts[-1]
    _pod(shown, uid).kept = parts[0] == "kept"
    if name == "skeleton.json":
        skeletons.setdefault(uid, []).append(text)
    elif name.endswith(".msg"):
        _pod(shown, uid).messages[name[:-4]] = text
    elif name == ".pod" or not name.startswith("."):
        key, _, value = text.partition("=")
        _pod(shown, uid).records.setdefault(name, {})[key] = value


def _engine(shown: Shown, raw: Mapping[str, Any]) -> None:
    labels = raw.get("labels") or {}
    uid, container = labels.get("interlink.eu/uid"), labels.get("interlink.eu/container")
    attempt = str(raw.get("name") or "").rsplit("-", 1)[-1]
    if uid and container and attempt.isdigit():
        _pod(shown, uid).engine.setdefault(container, {})[int(attempt)] = raw


def _event(line: str) -> Iterator[PodEvent]:
    uid, time, kind, reason, container, message = [*line.split("\t"), "", "", "", "", "", ""][:6]
    if kind in ("Normal", "Warning") and time.isdigit():
        when = datetime.fromtimestamp(int(time), timezone.utc)
        yield PodEvent(uid, reason, message, when, "Warning" if kind == "Warning" else "Normal", container)


def time(text: object) -> datetime | None:
    """Read an engine's time, RFC 3339 or as podman prints it; None for none and for the year 1.

    >>> time("2026-11-21T09:42:15.147626549Z")
    datetime.datetime(2026, 11, 21, 9, 42, 15, 147626, tzinfo=datetime.timezone.utc)
    >>> time("0001-01-01T00:00:00Z")
    """
    match = _TIME.fullmatch(str(text or "").strip('"'))
    if match is None or match[1] <= "0001-01-01":
        return None
    zone = "+00:00" if match[4] in (None, "Z") else match[4]
    if ":" not in zone:
        zone = f"{zone[:3]}:{zone[3:]}"
    moment = datetime.fromisoformat(f"{match[1]}T{match[2]}.{(match[3] or '0')[:6]:0<6}{zone}")
    return moment.astimezone(timezone.utc)


def _clock(shown: Shown, rest: str) -> None:
    shown.taken_at = datetime.fromtimestamp(int(rest), timezone.utc)


def _host_ip(shown: Shown, rest: str) -> None:
    shown.host_ip = rest


def _offset(shown: Shown, rest: str) -> None:
    shown.offset = int(rest)


def _tombstone(shown: Shown, rest: str) -> None:
    if rest in shown.pods:
        shown.pods[rest].going = True


def _last_words(shown: Shown, rest: str) -> None:
    path, _, encoded = rest.partition(" ")
    _, uid, _, name = path.split("/")
    container, _, attempt = name.rpartition("-")
    if uid in shown.pods and attempt.isdigit():
        text = base64.b64decode(encoded).decode("utf-8", "replace")
        shown.pods[uid].last_words[container, int(attempt)] = text


def _here(shown: Shown, rest: str) -> None:
    if rest in shown.pods:
        shown.pods[rest].here = True


_TAGS = {
    "T": _clock,
    "A": _host_ip,
    "O": _offset,
    "F": lambda shown, rest: shown.events.extend(_event(rest)),
    "C": lambda shown, rest: _engine(shown, json.loads(rest)),
    "M": _last_words,
    "G": _tombstone,
    "P": _here,
}
