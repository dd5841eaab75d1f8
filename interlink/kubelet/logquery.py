"""What a request for a log asks, and what a real kubelet says where there is none; pure.

Source of rules and texts: the kubelet's getContainerLogs and validateContainerLogStatus.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from interlink.errors import InvalidPod
from interlink.model.driver import LogQuery
from interlink.model.pod import PodRef
from interlink.model.status import ContainerStatus, PodStatus, Terminated, Waiting
from interlink.model.wire import gojson

_IMAGE_PROBLEMS = {"ErrImagePull": "image can't be pulled", "ImagePullBackOff": "trying and failing to pull image"}
_LARGEST = 1 << 63


def parse(pod: PodRef, container: str, query: Mapping[str, str]) -> LogQuery:
    """Read PodLogOptions from a query string; InvalidPod names the parameter that is wrong.

    `tail` is the old name of `tailLines`, where "all" stands for no limit.
    """
    tail = query.get("tail") or query.get("tailLines")
    if query.get("stream", "All") != "All":
        raise InvalidPod("only All is supported: stdout and stderr are not kept apart", field="stream")
    since_seconds, since_time = _number(query, "sinceSeconds", least=1), _time(query, "sinceTime")
    if since_seconds is not None and since_time is not None:
        raise InvalidPod("at most one of `sinceTime` or `sinceSeconds` may be specified", field="sinceTime")
    return LogQuery(
        pod,
        container,
        tail=None if tail == "all" else _number({"tailLines": tail} if tail else {}, "tailLines", least=0),
        limit_bytes=_number(query, "limitBytes", least=1),
        since_seconds=since_seconds,
        since_time=since_time,
        timestamps=_flag(query, "timestamps"),
        follow=_flag(query, "follow"),
        previous=_flag(query, "previous"),
    )


def refusal(pod: str, container: str, status: PodStatus | None, *, previous: bool) -> str:
    """Return why there is no log yet, as a real kubelet says it; "" if there may be one.

    `status` is what the backend has told of the pod; None: nothing yet.
    """
    what = f'container "{container}" in pod "{pod}"'
    if status is None:
        return f"{what} is waiting to start: ContainerCreating"
    found = next((item for item in status.containers if item.name == container), None)
    if found is None:
        return f"{what} is not available"
    if previous:
        return "" if found.last_state else f"previous terminated {what} not found"
    if isinstance(found.state, Waiting) and found.last_state is None:
        return f"{what} is waiting to start: {_IMAGE_PROBLEMS.get(found.state.reason, found.state.reason)}"
    return "" if _has_run(found) else f"{what} has not run"


def _has_run(container: ContainerStatus) -> bool:
    """An end that no attempt of ours had (the pod was refused, or stopped before) left no log."""
    state = container.state
    if not isinstance(state, Terminated) or container.last_state:
        return True
    return bool(state.container_id or state.started_at or container.container_id)


def _number(query: Mapping[str, str], name: str, *, least: int) -> int | None:
    text = query.get(name)
    if text is None:
        return None
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit() and len(digits) < 20 and least <= int(text) < _LARGEST):
        raise InvalidPod(f"must be a whole number, at least {least}", field=name)
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    """Only absence, "false" and "0" are false; so the API machinery reads booleans.

    >>> _flag({"follow": ""}, "follow"), _flag({"follow": "0"}, "follow"), _flag({}, "follow")
    (True, False, False)
    """
    return query.get(name, "false") not in ("false", "0")


def _time(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name)
    try:
        return gojson.parse_time(text) if text else None
    except ValueError as error:
        raise InvalidPod(str(error), field=name) from None
