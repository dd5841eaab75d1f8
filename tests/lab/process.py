"""Daemons that outlive the Python process that started them, known by pid and start time.

PID 1 of a container does not always reap, so a zombie counts as dead; a pid alone may have been
given to somebody else since, so a process is the pair of its pid and its start time.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class LabError(Exception):
    """A part of the lab does not do what it should; the message says which and where its log is."""


def wait_until(condition: Callable[[], object], timeout: float, what: str) -> None:
    """Poll `condition` until it is true; LabError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    pause = 0.005
    while not condition():
        if time.monotonic() > deadline:
            raise LabError(f"waited {timeout:g} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.1)


@dataclass(frozen=True)
class Stat:
    """What /proc/PID/stat says of a process; `started` is in clock ticks since the machine's boot."""

    pid: int
    comm: str
    state: str
    parent: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Stat | None:
        """The process, or None when it is gone or only a zombie is left.

        A zombie with threads still holds its files, a listening socket among them: it is not gone yet.
        """
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        head, _, tail = text.rpartition(")")
        fields = tail.split()
        threads = int(fields[17])
        if fields[0] in "ZX" and threads <= 1:
            return None
        return cls(pid, head.partition("(")[2], fields[0], int(fields[1]), int(fields[19]))


def running() -> Iterator[Stat]:
    """Every process of the machine, zombies left out."""
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (stat := Stat.of(int(entry))):
            yield stat


def descendants(pid: int) -> list[Stat]:
    """The children of `pid` and theirs, parents first."""
    children: dict[int, list[Stat]] = {}
    for stat in running():
        children.setdefault(stat.parent, []).append(stat)
    found: list[Stat] = []
    queue = [pid]
    while queue:
        nearest = children.get(queue.pop(0), [])
        found += nearest
        queue += [stat.pid for stat in nearest]
    return found


def naming(text: str) -> list[Stat]:
    """The processes whose argument list contains `text` (a path of the lab), not ourselves."""
    found = []
    for stat in running():
        try:
            arguments = Path(f"/proc/{stat.pid}/cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text.encode() in arguments and stat.pid != os.getpid():
            found.append(stat)
    return found


def network(stat: Stat) -> int:
    """The number of the network namespace that a process is in; 0 for one that is gone or that even root cannot see."""
    try:
        return os.stat(f"/proc/{stat.pid}/ns/net").st_ino
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0


def send(stats: Sequence[Stat], number: signal.Signals) -> None:
    """Signal processes that may end meanwhile; one that took over a pid is left alone."""
    for stat in stats:
        now = Stat.of(stat.pid)
        if now and now.started == stat.started:
            try:
                os.kill(stat.pid, number)
            except ProcessLookupError:
                continue


def gone(stats: Sequence[Stat]) -> bool:
    """True when none of these processes lives any more."""
    return not any((now := Stat.of(stat.pid)) and now.started == stat.started for stat in stats)


def end(stats: Sequence[Stat], what: str) -> None:
    """Kill processes and wait until they are dead."""
    send(stats, signal.SIGKILL)
    wait_until(lambda: gone(stats), 10, f"the end of {what}")


@dataclass(frozen=True)
class Daemon:
    """One program in the background; `directory` holds its pid file and its log."""

    name: str
    directory: Path

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        return self.directory / f"{self.name}.pid"

    def stat(self) -> Stat | None:
        """The living process, or None."""
        try:
            pid, started = self.pid_file.read_text().split()
        except (FileNotFoundError, ValueError):
            return None
        stat = Stat.of(int(pid))
        return stat if stat and stat.started == int(started) else None

    @property
    def alive(self) -> bool:
        return self.stat() is not None

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start the program in a session of its own, its output appended to the log.

        Not by subprocess: a Popen object warns when it is dropped while its process lives.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        program = os.path.realpath(argv[0]) if "/" in argv[0] else find(argv[0])
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            program,
            list(argv),
            {**clean_environment(), **(env or {})},
            setsid=True,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(self.log), append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
        )
        stat = Stat.of(pid)
        if stat is None:
            raise LabError(f"{self.name} ended at once: {self.tail()}")
        self.pid_file.write_text(f"{stat.pid} {stat.started}\n")

    def wait_ready(self, condition: Callable[[], object], timeout: float = 180) -> None:
        """Wait for `condition`; LabError at once if the daemon dies before, with the end of its log."""

        def ready_or_dead() -> object:
            if not self.alive:
                raise LabError(f"{self.name} ended: {self.tail()}")
            return condition()

        wait_until(ready_or_dead, timeout, f"{self.name} to be ready, see {self.log}")

    def signal(self, number: signal.Signals) -> None:
        if stat := self.stat():
            send([stat], number)

    def stop(self, grace: float = 60) -> None:
        """SIGTERM (also to one that is stopped), and SIGKILL after `grace` seconds."""
        stat = self.stat()
        if stat:
            send([stat], signal.SIGTERM)
            send([stat], signal.SIGCONT)
            try:
                wait_until(lambda: gone([stat]), grace, f"{self.name} to end")
            except LabError:
                end([stat], self.name)
            reap(stat.pid)
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """SIGKILL, and wait for the death."""
        if stat := self.stat():
            end([stat], self.name)
            reap(stat.pid)
        self.pid_file.unlink(missing_ok=True)

    def tail(self, size: int = 2000) -> str:
        """The end of the log."""
        return self.log.read_text(errors="replace")[-size:] if self.log.exists() else "(no log)"


def reap(pid: int) -> None:
    """Take the exit code of a child of this very process; others are PID 1's business."""
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def find(program: str) -> str:
    """The path of a program; the directories of administrators are searched too."""
    for directory in search_path().split(":"):
        path = Path(directory) / program
        if os.access(path, os.X_OK):
            return str(path)
    raise LabError(f"{program} is not installed")


def search_path() -> str:
    """PATH with the directories of daemons, which a plain user's PATH lacks."""
    return os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/local/sbin:/usr/sbin:/sbin"


def clean_environment() -> dict[str, str]:
    """The environment of every part: nothing of the developer's own."""
    return {"PATH": search_path(), "LANG": "C.UTF-8", "HOME": "/root"}
