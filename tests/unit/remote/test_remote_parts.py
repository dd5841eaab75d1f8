"""Pacing, pinned keys, credentials, the watchdog, routes: each by itself."""

from __future__ import annotations

import stat
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from interlink.errors import ConfigError, HostKeyRejected, HostUnreachable, LoginRefused
from interlink.model.host import Host
from interlink.remote import credentials, hostkeys, proxy
from interlink.remote.hostkeys import OfferedKey
from interlink.remote.pacing import Pacing
from interlink.remote.pool import Pool, route
from interlink.remote.tuning import Limits, Tuning
from interlink.remote.watchdog import Watchdog

# --- pacing


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def pacing(clock: Clock, per_minute: int = 100, **tuning: float) -> Pacing:
    return Pacing("h", per_minute, Tuning(**tuning), clock=clock, spread=lambda low, high: high)  # type: ignore[arg-type]


def test_back_off_doubles_up_to_its_most() -> None:
    clock = Clock()
    paced = pacing(clock, backoff_first=1.0, backoff_most=5.0)
    for wait in (1, 2, 4, 5, 5):
        paced.admit(())
        paced.failed(HostUnreachable("down"), ())
        with pytest.raises(HostUnreachable, match=rf"down \(next attempt in {wait} s\)"):
            paced.admit(())
        clock.now += wait
    paced.admit(())
    paced.succeeded()
    paced.admit(())


def test_the_error_keeps_its_class_and_a_changed_file_ends_the_wait() -> None:
    paced = pacing(Clock())
    paced.admit((1,))
    paced.failed(HostKeyRejected("unknown"), (1,))
    with pytest.raises(HostKeyRejected):
        paced.admit((1,))
    paced.admit((2,))


def test_a_refused_login_waits_longest() -> None:
    clock = Clock()
    paced = pacing(clock, backoff_first=1.0, refused_first=60.0)
    paced.admit(())
    paced.failed(LoginRefused("no"), ())
    clock.now += 59
    with pytest.raises(LoginRefused):
        paced.admit(())


def test_rate_is_a_sliding_minute() -> None:
    clock = Clock()
    paced = pacing(clock, per_minute=2)
    paced.admit(())
    clock.now += 30
    paced.admit(())
    with pytest.raises(HostUnreachable, match=r"2 connections were opened within a minute.*next attempt in 30 s"):
        paced.admit(())
    clock.now += 30
    paced.admit(())


def test_sessions_are_shared_out() -> None:
    for sessions in range(2, 40):
        limits = Limits(sessions)
        assert limits.shells >= 1
        assert limits.streams >= 0
        assert 1 + limits.shells + limits.streams == sessions


# --- host keys


def make_key(directory: Path, name: str, kind: str = "ed25519") -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(directory / name)], check=True)
    return " ".join((directory / f"{name}.pub").read_text().split()[:2])


def lookup(files: list[Path], name: str) -> set[str]:
    return {f"{kind} {key.get_base64()}" for kind, key in (hostkeys.load(files).lookup(name) or {}).items()}


def test_the_first_file_that_names_a_host_decides(tmp_path: Path) -> None:
    a, b, c = (make_key(tmp_path, name, kind) for name, kind in (("a", "ed25519"), ("b", "ed25519"), ("c", "ecdsa")))
    ours, users = tmp_path / "ours", tmp_path / "users"
    ours.write_text(f"# pinned\n\nh1 {a}\nh1 {c}\n")
    users.write_text(f"h1,h2 {b}\n@cert-authority *.example.org {b}\n")
    files = [ours, users, tmp_path / "missing"]
    assert lookup(files, "h1") == {a, c}
    assert lookup(files, "h2") == {b}
    assert lookup(files, "n.example.org") == set()


def test_revoked_keys_do_not_count(tmp_path: Path) -> None:
    key = make_key(tmp_path, "a")
    file = tmp_path / "known"
    file.write_text(f"h1 {key}\n@revoked * {key}\n")
    assert lookup([file], "h1") == set()


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "known"
    file.write_text("h1 ssh-ed25519 AAAA####\n")
    with pytest.raises(ConfigError, match=r"known:1: this is no host key"):
        hostkeys.load([file])


def test_pinning_replaces_and_keeps(tmp_path: Path) -> None:
    a, b = make_key(tmp_path, "a"), make_key(tmp_path, "b")
    file = tmp_path / "state" / "known_hosts"
    one, two = (OfferedKey("[h1]:2222", *key.split()) for key in (a, b))
    hostkeys.pin(file, [one])
    with file.open("a") as more:
        more.write(f"# a remark\nh2 {a}\n")
    hostkeys.pin(file, [two])
    assert file.read_text() == f"# a remark\nh2 {a}\n[h1]:2222 {b}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["known_hosts"]


def test_fingerprint_is_that_of_ssh_keygen(tmp_path: Path) -> None:
    key = OfferedKey("h1", *make_key(tmp_path, "a").split())
    shown = subprocess.run(["ssh-keygen", "-lf", str(tmp_path / "a")], capture_output=True, text=True, check=True)
    assert key.fingerprint == shown.stdout.split()[1]


# --- credentials


def test_no_certificate_no_expiry(tmp_path: Path) -> None:
    make_key(tmp_path, "a")
    assert credentials.earliest_expiry([tmp_path / "a", tmp_path / "missing"]) is None


def test_certificate_without_end(tmp_path: Path) -> None:
    make_key(tmp_path, "ca")
    make_key(tmp_path, "a")
    subprocess.run(["ssh-keygen", "-q", "-s", str(tmp_path / "ca"), "-I", "x", str(tmp_path / "a.pub")], check=True)
    assert credentials.certificate_expiry(tmp_path / "a") is None


def test_hook_runs_once_for_a_plain_key(tmp_path: Path) -> None:
    renewal, journal = credentials.Renewal(), tmp_path / "journal"
    command = ["sh", "-c", 'echo run >> "$0"', str(journal)]
    threads = [threading.Thread(target=renewal.ensure, args=("h", command, [], 600.0)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.read_text() == "run\n"


# --- the watchdog


def until(look: Callable[[], object]) -> None:
    end = time.monotonic() + 120
    while not look() and time.monotonic() < end:
        time.sleep(0.01)


def test_watchdog_barks_once_and_only_when_late() -> None:
    watchdog, barked = Watchdog(), []
    with watchdog.guard(3600.0, lambda: barked.append("never")), watchdog.guard(0.05, lambda: barked.append("late")):
        until(lambda: barked)
        time.sleep(0.2)  # time for a second bark, which must not come
    assert barked == ["late"]
    watchdog.close()
    with watchdog.guard(0.05, lambda: barked.append("again")):
        until(lambda: len(barked) > 1)
    watchdog.close()
    assert barked == ["late", "again"]
    assert not [thread for thread in threading.enumerate() if thread.name == "ssh-watchdog"]


# --- routes and the pool


def test_hops_come_from_the_inventory_and_from_ssh_config(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(
        "Host inner\n  HostName 10.0.0.9\n  User deep\n  ProxyJump mid\nHost mid\n  Port 2222\n  ProxyJump outer\n"
    )
    host = Host("inner", (), {"ansible_ssh_common_args": f"-F {config}"})
    hops = route(host, tmp_path / "known").hops()
    assert [hop.label.partition("@")[2] for hop in hops] == ["outer:22", "mid:2222", "10.0.0.9:22"]
    assert hops[-1].label == "deep@10.0.0.9:22"
    direct = Host("inner", (), {"ansible_ssh_common_args": f"-F {config} -J none"})
    assert route(direct, tmp_path / "known").hops()[-1].proxy == []


def test_missing_ssh_config_is_named(tmp_path: Path) -> None:
    host = Host("h", (), {"ansible_ssh_common_args": f"-F {tmp_path}/none"})
    with pytest.raises(ConfigError, match="the ssh configuration cannot be read"):
        route(host, tmp_path / "known").hops()


def test_proxy_command_is_split_and_filled_in() -> None:
    assert proxy.expand("nc -X '5 %%' %h:%p %x", {"h": "a b", "p": "1"}) == ["nc", "-X", "5 %", "a b:1", "%x"]


def test_pool_gives_one_connection_per_host(tmp_path: Path) -> None:
    with Pool(tmp_path / "known") as pool:
        here = Host("h", (), {"ansible_connection": "local"})
        connection = pool.connection(here)
        assert connection is pool.connection(Host("h", (), {"ansible_connection": "local"}))
        assert connection.run("echo here").stdout == b"here\n"
        changed = pool.connection(Host("h", (), {"ansible_connection": "local", "interlink_root": "/x"}))
        assert changed is not connection


@pytest.mark.parametrize("variables", [{"ansible_ssh_common_args": "--what"}, {"ansible_ssh_extra_args": "-o x"}])
def test_what_cannot_be_honoured_is_refused(tmp_path: Path, variables: dict[str, str]) -> None:
    with Pool(tmp_path / "known") as pool, pytest.raises(ConfigError, match="host h: "):
        pool.connection(Host("h", (), variables))
