"""Tasks on pods: those of a server, or those that `interlink run` left on this machine's state."""

from __future__ import annotations

import json as jsons
import sys
import time
from contextlib import closing

from invoke.context import Context
from invoke.exceptions import Exit

from interlink.errors import NotFound
from interlink.model.driver import Composition, LogQuery, PodRecord
from interlink.model.pod import PodRef
from interlink.model.wire import v1
from interlink.tasks import reaching, tables
from interlink.tasks.command import command

_OPTIONS = {name: reaching.HELP[name] for name in ("inventory", "server", "token-file")}
_PATIENCE = 90.0  # seconds beyond the grace period


@command(name="list", iterable=["inventory"], help={**_OPTIONS, "json": "print JSON"})
def list_pods(
    _: Context, inventory: list[str] | None = None, server: str = "", token_file: str = "", json: bool = False
) -> None:
    """Show all pods, where they are and how they fare."""
    with reaching.composition(server, inventory=inventory or (), token_file=token_file) as driver:
        records = driver.pods()
    if json:
        print(jsons.dumps({"pods": [v1.pod_json(r) for r in records]}, indent=2))
        return
    rows = [[r.namespace, r.name, _state(r), r.host or "-", r.uid] for r in records]
    tables.show(("NAMESPACE", "NAME", "STATUS", "HOST", "UID"), rows)


@command(positional=["pod"], iterable=["inventory"], help={**_OPTIONS, "pod": "name, namespace/name or UID"})
def show(_: Context, pod: str, inventory: list[str] | None = None, server: str = "", token_file: str = "") -> None:
    """Show all that is known of one pod, as JSON."""
    with reaching.composition(server, inventory=inventory or (), token_file=token_file) as driver:
        print(jsons.dumps(v1.pod_json(reaching.find(driver, pod)), indent=2))


@command(
    positional=["pod"],
    iterable=["inventory"],
    help={
        **_OPTIONS,
        "pod": "name, namespace/name or UID",
        "container": "which container; not needed if there is only one",
        "follow": "go on until the container ends",
        "previous": "the attempt before the last restart",
        "tail": "how many of the last lines; -1 for all",
    },
)
def logs(
    _: Context,
    pod: str,
    inventory: list[str] | None = None,
    server: str = "",
    token_file: str = "",
    container: str = "",
    follow: bool = False,
    previous: bool = False,
    tail: int = -1,
) -> None:
    """Print a container's log."""
    with reaching.composition(server, inventory=inventory or (), token_file=token_file) as driver:
        record = reaching.find(driver, pod)
        query = LogQuery(_ref(record), container, tail=None if tail < 0 else tail, follow=follow, previous=previous)
        with closing(driver.logs(query)) as stream:
            for chunk in stream:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()


@command(
    positional=["pod"],
    iterable=["inventory"],
    help={**_OPTIONS, "pod": "name, namespace/name or UID", "grace": "seconds to stop in; -1 for the pod's own"},
)
def delete(
    _: Context,
    pod: str,
    inventory: list[str] | None = None,
    server: str = "",
    token_file: str = "",
    grace: int = -1,
) -> None:
    """Stop a pod, remove it from its host, and wait until that is confirmed."""
    with reaching.composition(server, inventory=inventory or (), token_file=token_file) as driver:
        record = reaching.find(driver, pod)
        driver.delete(_ref(record), None if grace < 0 else grace)
        if not _gone(driver, record.uid, max(grace, 30) + _PATIENCE):
            raise Exit(f"interlink: the host has not confirmed the end of {record.name} yet; it stays wanted", code=3)
    print(f"{record.namespace}/{record.name} deleted")


def _gone(driver: Composition, uid: str, patience: float) -> bool:
    end = time.monotonic() + patience
    while time.monotonic() < end:
        try:
            if driver.pod(uid).gone:
                return True
        except NotFound:
            return True
        time.sleep(0.1)
    return False


def _ref(record: PodRecord) -> PodRef:
    return PodRef(record.uid, record.namespace, record.name)


def _state(record: PodRecord) -> str:
    if record.target == "deleted":
        return "Terminating"
    return record.status.phase.value + (f" ({record.status.reason})" if record.status.reason else "")
