"""`interlink run`: the main job without Kubernetes."""

from __future__ import annotations

import sys
import threading
import uuid

from invoke.context import Context
from invoke.exceptions import Exit

from interlink.bundle import manifests
from interlink.config import documents
from interlink.tasks import reaching
from interlink.tasks.command import command
from interlink.tasks.running.session import Options, Session


@command(
    positional=["manifest"],
    iterable=["inventory"],
    help={
        **reaching.HELP,
        "manifest": "YAML or JSON file with one or more pods, and the ConfigMaps and Secrets they use; - for stdin",
        "detach": "return once the pods are launched, and leave them running",
        "keep": "do not delete the pods at the end",
        "wait-start": "seconds to wait for a pod that cannot start (an image pull does not count)",
        "strict": "a nodeSelector that no host satisfies is an error",
    },
)
def run(
    _: Context,
    manifest: str,
    inventory: list[str] | None = None,
    limit: str = "",
    server: str = "",
    token_file: str = "",
    detach: bool = False,
    keep: bool = False,
    wait_start: float = 120.0,
    strict: bool = False,
) -> None:
    """Run the pods of a manifest, show their logs, and end with their exit code."""
    requests = manifests.requests(documents.read(manifest), lambda: str(uuid.uuid4()))
    with (
        reaching.runner(server, inventory=inventory or (), limit=limit, token_file=token_file, strict=strict) as driver,
        reaching.polite_signals(),
    ):
        flags = reaching.flags(driver, server, inventory=inventory or (), token_file=token_file)
        options = Options(detach=detach, keep=keep, wait_start=wait_start, flags=flags)
        code = Session(driver, requests, options, _tell, LineWriter()).run()
    if code:
        raise Exit(code=code)


def _tell(line: str) -> None:
    """Progress goes to stderr, so that stdout holds the logs alone."""
    print(f"interlink: {line}", file=sys.stderr, flush=True)


class LineWriter:
    """Writes whole lines of several containers to stdout, never mixed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, prefix: str, line: bytes) -> None:
        with self._lock:
            sys.stdout.buffer.write(prefix.encode() + b" | " + line + b"\n")
            sys.stdout.buffer.flush()
