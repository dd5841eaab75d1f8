"""What of the lab needs neither root nor packages."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import images, machine, place, process


def sleeper(directory: Path) -> process.Daemon:
    daemon = process.Daemon("sleeper", directory)
    daemon.start([sys.executable, "-c", "import time; print('up', flush=True); time.sleep(1000)"])
    daemon.wait_ready(lambda: "up" in daemon.tail())
    return daemon


def test_daemon_starts_and_stops(tmp_path: Path) -> None:
    daemon = sleeper(tmp_path)
    assert daemon.alive
    daemon.stop()
    assert not daemon.alive


def test_daemon_is_known_to_another_process_by_its_pid_file(tmp_path: Path) -> None:
    sleeper(tmp_path)
    same = process.Daemon("sleeper", tmp_path)
    assert same.alive
    same.kill()
    assert not same.alive


def test_stopped_daemon_still_ends(tmp_path: Path) -> None:
    daemon = sleeper(tmp_path)
    daemon.signal(signal.SIGSTOP)
    daemon.stop()
    assert not daemon.alive


def test_zombie_counts_as_dead(tmp_path: Path) -> None:
    daemon = sleeper(tmp_path)
    stat = daemon.stat()
    assert stat
    os.kill(stat.pid, signal.SIGKILL)
    process.wait_until(lambda: not daemon.alive, 10, "the sleeper's death")
    assert Path(f"/proc/{stat.pid}").exists()
    process.reap(stat.pid)


def test_pid_of_another_process_is_not_ours(tmp_path: Path) -> None:
    own = process.Stat.of(os.getpid())
    assert own
    (tmp_path / "old.pid").write_text(f"{own.pid} {own.started - 1}\n")
    assert not process.Daemon("old", tmp_path).alive


def test_daemon_that_ends_early_tells_its_log(tmp_path: Path) -> None:
    daemon = process.Daemon("broken", tmp_path)
    with pytest.raises(process.LabError, match="no such luck"):  # noqa: PT012
        daemon.start([sys.executable, "-c", "raise SystemExit('no such luck')"])  # it may have ended already
        daemon.wait_ready(lambda: False)


def test_users_of_the_lab_are_seen_by_others(tmp_path: Path) -> None:
    users = tmp_path / "users"
    code = "from pathlib import Path; from tests.lab import place; import sys; sys.exit(place.used(Path(sys.argv[1])))"
    ask = [sys.executable, "-c", code, str(users)]
    use = place.InUse(users)
    assert subprocess.run(ask, check=False).returncode == 1
    use.close()
    assert subprocess.run(ask, check=False).returncode == 0


def test_parts_bring_what_they_need_first() -> None:
    assert machine.closure(["docker"]) == ["network", "sshd", "images", "registry", "docker"]


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(machine.PACKAGES, "sshd", {"no-such-program": "some-package", "/etc": "base-files"})
    assert machine.obstacle(["sshd"]) == "install: apt-get install some-package"


def test_same_files_make_the_same_image() -> None:
    files = [images.Entry("etc"), images.Entry("etc/a", 0o644, b"x"), images.Entry("b", link="etc/a")]
    first, second = (images.Image(images.layer(files), {"Cmd": ["a"]}, ("lab/a:1",)) for _ in range(2))
    assert first.manifest == second.manifest
    assert images.archive([first]) == images.archive([second])
