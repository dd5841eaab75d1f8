"""This machine by subprocess, with the shells, frames and guardian that a host over SSH has."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path

from interlink.remote import frames
from interlink.remote.deadline import Deadline
from interlink.remote.executor import ShellConnection
from interlink.remote.link import Link
from interlink.remote.pipes import PipeChannel
from interlink.remote.remoteshell import Broken
from interlink.remote.tuning import Limits, Shared, Tuning

_SESSIONS = Limits(sessions=129)


class LocalSessions:
    """Shells on this machine, each a session leader in the user's home, as under sshd."""

    far = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._processes: list[tuple[subprocess.Popen[bytes], PipeChannel]] = []
        self.alive = True

    def session(self, deadline: Deadline) -> PipeChannel:
        if not self.alive:
            raise Broken("the connection is closed")
        home = Path.home()
        try:
            process = subprocess.Popen(
                ["/bin/sh", *frames.SHELL.split()[2:]],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                cwd=home if home.is_dir() else "/",
            )
        except OSError as error:
            raise Broken(f"/bin/sh cannot be started: {error}") from error
        channel = PipeChannel(process)
        with self._lock:
            # poll() reaps what has ended since
            self._processes = [pair for pair in self._processes if pair[0].poll() is None]
            self._processes.append((process, channel))
        return channel

    def abort(self) -> None:
        self.alive = False
        with self._lock:
            for process, channel in self._processes:
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, signal.SIGKILL)
                channel.ring()

    def close(self) -> None:
        """Close all shells and wait for them; the guardian ends what has not ended by its grace."""
        self.alive = False
        with self._lock:
            processes = list(self._processes)
        for _, channel in processes:
            channel.close()
        for process, _ in processes:
            process.wait()

    def forget(self) -> None:
        """In a forked child: close the copies of the pipes, which would keep the shells from ending."""
        for _, channel in self._processes:
            channel.close()


class _Dialler:
    def __init__(self, name: str, tuning: Tuning, shared: Shared) -> None:
        self._name, self._tuning, self._shared = name, tuning, shared

    def admit(self) -> None:
        """There is nothing to spare here."""

    def dial(self) -> Link:
        link = Link(self._name, LocalSessions(), self._tuning, self._shared.watchdog)
        link.start()
        return link

    def stop(self) -> None:
        """Starting a shell ends by itself."""


class LocalConnection(ShellConnection):
    """A `Connection` to this machine."""

    def __init__(self, name: str, *, tuning: Tuning | None = None, shared: Shared | None = None) -> None:
        tuning = tuning or Tuning()
        super().__init__(name, lambda shared: _Dialler(name, tuning, shared), _SESSIONS, tuning, shared)
