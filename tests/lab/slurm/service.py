"""A daemon of a computer, below an init that reaps what it leaves, to be frozen, killed and started again."""

from __future__ import annotations

import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import process
from tests.lab.network import Namespace


@dataclass(frozen=True)
class Service:
    """`argv` in the foreground in a namespace; slurmd's orphans would stay zombies where PID 1 does not reap."""

    name: str
    directory: Path
    namespace: Namespace
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict)

    @property
    def _init(self) -> process.Daemon:
        return process.Daemon(self.name, self.directory)

    @property
    def alive(self) -> bool:
        return self._init.alive

    @property
    def log(self) -> Path:
        return self._init.log

    def start(self) -> None:
        """Start it; does nothing if it runs."""
        if not self.alive:
            inside = self.namespace.inside(process.find("tini"), "-s", "--", *self.argv)
            self._init.start(inside, env=self.env)

    def _program(self) -> list[process.Stat]:
        init = self._init.stat()
        below = process.descendants(init.pid) if init else []
        name = Path(self.argv[0]).name[:15]  # as long as the kernel keeps it
        return [stat for stat in below if init and stat.parent == init.pid and stat.comm == name]

    def pause(self) -> None:
        """Freeze it (SIGSTOP): its clients hang; jobs go on."""
        process.send(self._program(), signal.SIGSTOP)

    def resume(self) -> None:
        """Undo pause()."""
        process.send(self._program(), signal.SIGCONT)

    def kill(self) -> None:
        """SIGKILL; what it has started (a job's processes) lives on."""
        process.end(self._program(), self.name)
        self._init.stop()

    def stop(self) -> None:
        """End it in good order."""
        self.resume()
        self._init.stop()
