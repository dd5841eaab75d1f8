"""Whom we talk to, and as whom: host keys, gateways, keys, certificates, credential hooks."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from interlink.errors import HostKeyRejected, HostUnreachable, LoginRefused
from interlink.remote import credentials
from tests.lab.process import wait_until
from tests.lab.sshd import PLAIN_USER, Sshd, authorize, make_key
from tests.ssh.conftest import Site

pytestmark = pytest.mark.lab


def fingerprint(server: Sshd) -> str:
    shown = subprocess.run(
        ["ssh-keygen", "-lf", str(server.host_key.with_suffix(".pub"))], capture_output=True, text=True, check=True
    )
    return shown.stdout.split()[1]


def logins(server: Sshd) -> int:
    return server.log.count("Accepted publickey")


# --- host keys


def test_unknown_key_is_refused_with_fingerprint_and_command(site: Site) -> None:
    server = site.server()
    connection = site.connect(server, interlink_known_hosts=None)
    with pytest.raises(HostKeyRejected) as caught:
        connection.run("true")
    assert fingerprint(server) in str(caught.value)
    assert "interlink hosts.trust h1" in str(caught.value)
    assert logins(server) == 0


def test_changed_key_is_refused_loudly(site: Site) -> None:
    server = site.server()
    connection = site.connect(server)
    connection.run("true")
    old = fingerprint(server)
    server.kill()
    server.new_host_key()
    server.start()
    with pytest.raises(HostKeyRejected, match="HAS CHANGED") as caught:
        connection.run("true")
    assert old in str(caught.value)
    assert fingerprint(server) in str(caught.value)
    assert "hosts.trust --replace h1" in str(caught.value)
    server.known_hosts.write_text(server.known_hosts_line)
    assert connection.run("echo trusted").stdout == b"trusted\n"  # at once: what was wrong has changed


def test_trust_pins_what_was_accepted(site: Site) -> None:
    server = site.server()
    host, pool = site.host(server, interlink_known_hosts=None), site.pool()
    with pytest.raises(HostKeyRejected, match="not trusted"):
        pool.trust(host, lambda key: False)
    assert not site.own_known_hosts.exists()
    shown = pool.trust(host, lambda key: True)
    assert [key.fingerprint for key in shown] == [fingerprint(server)]
    assert stat.S_IMODE(site.own_known_hosts.stat().st_mode) == 0o600
    assert pool.connection(host).run("echo in").stdout == b"in\n"
    assert [key.known for key in pool.trust(host, lambda key: False)] == [True]  # not asked again


def test_trust_replaces_only_on_demand(site: Site) -> None:
    server = site.server()
    host, pool = site.host(server, interlink_known_hosts=None), site.pool()
    pool.trust(host, lambda key: True)
    server.kill()
    server.new_host_key()
    server.start()
    with pytest.raises(HostKeyRejected, match="HAS CHANGED"):
        pool.trust(host, lambda key: True)
    pool.trust(host, lambda key: True, replace=True)
    assert pool.connection(host).run("echo in").stdout == b"in\n"
    assert len(site.own_known_hosts.read_text().splitlines()) == 1


@pytest.fixture
def dot_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The ~/.ssh of a home of the test's own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    made = Path.home() / ".ssh"
    made.mkdir(mode=0o700, parents=True)
    return made


def test_users_known_hosts_counts_and_may_be_hashed(site: Site, dot_ssh: Path) -> None:
    server = site.server()
    users = dot_ssh / "known_hosts"
    users.write_text(
        f"@cert-authority *.example.org {server.known_hosts_line.split(' ', 1)[1]}{server.known_hosts_line}"
    )
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(users)], check=True, capture_output=True)
    assert server.address not in users.read_text()
    assert site.connect(server, interlink_known_hosts=None).run("echo in").stdout == b"in\n"


# --- gateways


def behind_gateway(site: Site) -> tuple[Sshd, Sshd, dict[str, Any]]:
    gateway, server = site.server(), site.server()
    authorize(gateway.authorized_keys, [gateway.key.with_suffix(".pub"), server.key.with_suffix(".pub")])
    jump = f"-o ProxyJump={PLAIN_USER}@{gateway.address}:{gateway.port}"
    config = site.own_known_hosts.parent / "ssh_config"
    config.parent.mkdir(exist_ok=True)
    config.write_text(f"Host {gateway.address}\n  IdentityFile {server.key}\n")
    return gateway, server, {"ansible_ssh_common_args": f"{jump} -F {config}"}


def test_gateway_with_its_own_pinned_key(site: Site) -> None:
    gateway, server, jump = behind_gateway(site)
    server.known_hosts.write_text(server.known_hosts_line + gateway.known_hosts_line)
    connection = site.connect(server, **jump)
    assert connection.run("echo through").stdout == b"through\n"
    assert (logins(gateway), logins(server)) == (1, 1)
    assert connection.run("wc -c", stdin=os.urandom(1 << 20)).text.strip() == "1048576"


def test_gateways_key_must_be_known_too(site: Site) -> None:
    gateway, server, jump = behind_gateway(site)
    with pytest.raises(HostKeyRejected) as caught:
        site.connect(server, **jump).run("true")
    assert fingerprint(gateway) in str(caught.value)
    assert (logins(gateway), logins(server)) == (0, 0)


def test_trust_through_a_gateway(site: Site) -> None:
    gateway, server, jump = behind_gateway(site)
    host, pool = site.host(server, interlink_known_hosts=None, **jump), site.pool()
    shown = pool.trust(host, lambda key: True)
    assert [key.fingerprint for key in shown] == [fingerprint(gateway), fingerprint(server)]
    assert pool.connection(host).run("echo through").stdout == b"through\n"


def test_gateway_lost_in_the_middle(site: Site) -> None:
    gateway, server, jump = behind_gateway(site)
    server.known_hosts.write_text(server.known_hosts_line + gateway.known_hosts_line)
    connection = site.connect(server, **jump)
    connection.run("true")
    gateway.kill_connections()
    wait_until(lambda: _works(connection), 30, "the connection to come back")


def test_frozen_gateway(site: Site) -> None:
    gateway, server, jump = behind_gateway(site)
    server.known_hosts.write_text(server.known_hosts_line + gateway.known_hosts_line)
    connection = site.connect(server, **jump)
    connection.run("true")
    gateway.pause_connections()
    wait_until(lambda: _works(connection), 60, "the connection to come back")


def _works(connection: Any) -> bool:
    try:
        return bool(connection.run("echo back", timeout=20).stdout == b"back\n")
    except Exception:
        return False


def test_target_not_reachable_from_the_gateway(site: Site) -> None:
    gateway, server, jump = behind_gateway(site)
    server.known_hosts.write_text(server.known_hosts_line + gateway.known_hosts_line)
    server.kill()
    with pytest.raises(HostUnreachable, match="host h1: cannot connect to"):
        site.connect(server, **jump).run("true")


def test_proxy_command(site: Site) -> None:
    server = site.server()
    command = f'-o ProxyCommand="{sys.executable} {Path(__file__).with_name("relay.py")} %h %p"'
    connection = site.connect(server, ansible_ssh_common_args=command)
    assert connection.run("echo by command").stdout == b"by command\n"


def test_users_ssh_config_is_read(site: Site, dot_ssh: Path) -> None:
    server = site.server()
    lines = [f"HostName {server.address}", f"Port {server.port}", f"User {PLAIN_USER}", f"IdentityFile {server.key}"]
    (dot_ssh / "config").write_text("Host nick\n  " + "\n  ".join([*lines, "IdentityFile ~/.ssh/not-there"]) + "\n")
    bare = dict.fromkeys(["ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file"])
    pool = site.pool()
    assert pool.connection(site.host(server, "nick", **bare)).run("echo in").stdout == b"in\n"


# --- keys and certificates


def test_refused_login_is_not_repeated_in_a_loop(site: Site) -> None:
    server = site.server()
    authorize(server.authorized_keys, [])
    connection = site.connect(server)
    for _ in range(20):
        with pytest.raises(LoginRefused, match=r"host h1: labuser@.* refuses the login with .*id"):
            connection.run("true")
    assert server.log.count("Connection from") <= 2  # one is the lab's probe
    time.sleep(3.5)
    authorize(server.authorized_keys, [server.key.with_suffix(".pub")])
    assert connection.run("echo in").stdout == b"in\n"


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda key: key.chmod(0o644), r"open to others \(mode 0644\); chmod 600"),
        (lambda key: key.unlink(), "does not exist"),
        (lambda key: (key.unlink(), key.mkdir()), "cannot read the private key"),
        (lambda key: key.write_text("nonsense"), "refuses the login"),
    ],
    ids=["open", "missing", "directory", "nonsense"],
)
def test_key_that_cannot_be_used(site: Site, tmp_path: Path, spoil: Any, says: str) -> None:
    server = site.server()
    key = tmp_path / "key"
    shutil.copy(server.key, key)
    spoil(key)
    connection = site.connect(server, ansible_ssh_private_key_file=str(key))
    with pytest.raises(LoginRefused, match=says):
        connection.run("true")


def test_key_with_a_passphrase_points_to_the_agent(site: Site, tmp_path: Path) -> None:
    server, key = site.server(), tmp_path / "locked"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)], check=True)
    with pytest.raises(LoginRefused, match="passphrase: add it to ssh-agent"):
        site.connect(server, ansible_ssh_private_key_file=str(key)).run("true")


def test_agent(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = site.server()
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(tmp_path / "a")], stdout=subprocess.DEVNULL)
    try:
        monkeypatch.setenv("SSH_AUTH_SOCK", str(tmp_path / "a"))
        wait_until((tmp_path / "a").exists, 10, "the agent")
        subprocess.run(["ssh-add", "-q", str(server.key)], check=True)
        connection = site.connect(server, ansible_ssh_private_key_file=None)
        assert connection.run("echo by agent").stdout == b"by agent\n"
        connection.close()
    finally:
        agent.terminate()
        agent.wait()


def certified(site: Site, tmp_path: Path) -> tuple[Sshd, Path, Path]:
    """A server that lets in only holders of certificates of the authority, and a key without one."""
    authority, key = make_key(tmp_path / "ca"), make_key(tmp_path / "user")
    public = tmp_path / "public"
    shutil.copy(authority.with_suffix(".pub"), public)
    tmp_path.chmod(0o755)
    server = site.server(options={"TrustedUserCAKeys": str(public)})
    authorize(server.authorized_keys, [])
    return server, authority, key


def sign(authority: Path, key: Path, seconds: int) -> list[str]:
    return [
        *["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", PLAIN_USER],
        *["-V", f"-1m:+{seconds}s" if seconds > 0 else f"-2h:-{-seconds}s", str(key.with_suffix(".pub"))],
    ]


def test_certificate_beside_the_key(site: Site, tmp_path: Path) -> None:
    server, authority, key = certified(site, tmp_path)
    assert credentials.certificate_expiry(key) is None
    subprocess.run(sign(authority, key, 3600), check=True)
    assert site.connect(server, ansible_ssh_private_key_file=str(key)).run("echo in").stdout == b"in\n"
    end = credentials.certificate_expiry(key)
    assert end is not None
    assert timedelta(minutes=55) < end - datetime.now(timezone.utc) < timedelta(minutes=65)


def test_expired_certificate_says_so(site: Site, tmp_path: Path) -> None:
    server, authority, key = certified(site, tmp_path)
    subprocess.run(sign(authority, key, -60), check=True)
    connection = site.connect(server, ansible_ssh_private_key_file=str(key))
    with pytest.raises(LoginRefused, match=r"certificate of .*user expired at 20.* UTC: renew it"):
        connection.run("true")
    subprocess.run(sign(authority, key, 3600), check=True)
    assert connection.run("echo in").stdout == b"in\n"  # at once: the certificate has changed


@pytest.mark.parametrize("spoil", [False, True], ids=["of an authority unknown here", "nonsense"])
def test_certificate_that_counts_for_nothing_leaves_the_key_its_rights(
    site: Site, tmp_path: Path, *, spoil: bool
) -> None:
    server, key = site.server(), tmp_path / "user"
    shutil.copy(server.key, key)
    shutil.copy(server.key.with_suffix(".pub"), key.with_suffix(".pub"))
    subprocess.run(sign(make_key(tmp_path / "ca"), key, 3600), check=True)
    if spoil:
        credentials.certificate_of(key).write_text("nonsense\n")
    assert site.connect(server, ansible_ssh_private_key_file=str(key)).run("echo in").stdout == b"in\n"


def test_credential_command_brings_and_renews_the_certificate(site: Site, tmp_path: Path) -> None:
    """It runs before the first login, and again while connected, before the certificate ends."""
    server, authority, key = certified(site, tmp_path)
    journal = tmp_path / "runs"
    script = tmp_path / "renew"
    command = " ".join(sign(authority, key, 66))
    script.write_text(f"#!/bin/sh\necho a token nobody may see\necho run >> {journal}\n{command}\n")
    script.chmod(0o755)
    import dataclasses

    from tests.ssh.conftest import QUICK

    connection = site.connect(
        server,
        tuning=dataclasses.replace(QUICK, renew_margin=63.0),
        ansible_ssh_private_key_file=str(key),
        interlink_credential_command=[str(script)],
    )
    assert connection.run("echo in").stdout == b"in\n"
    assert journal.read_text().count("run") == 1
    wait_until(lambda: journal.read_text().count("run") >= 2, 90, "the renewal")
    assert connection.run("echo still in").stdout == b"still in\n"


@pytest.mark.parametrize(
    ("command", "says"),
    [(["false"], "credential command false ended with 1"), (["/no/such"], "credential command /no/such: No such file")],
)
def test_failing_credential_command(site: Site, command: list[str], says: str) -> None:
    server = site.server()
    with pytest.raises(LoginRefused, match=says):
        site.connect(server, interlink_credential_command=command).run("true")
    assert logins(server) == 0


# --- fork

FORK = """
import os, sys, threading
from pathlib import Path
from interlink.model.host import Host
from interlink.remote.pool import Pool

pool = Pool(Path(sys.argv[1]))
connection = pool.connection(Host("h1", (), eval(sys.argv[2])))
connection.run("true")
child = os.fork()
if child == 0:
    mine = connection.run("echo child", timeout=30).stdout
    connection.run("cat", stdin=os.urandom(100000))
    connection.close()
    os._exit(0 if mine == b"child\\n" else 1)
code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
for _ in range(20):
    assert connection.run("echo parent", timeout=30).stdout == b"parent\\n"
pool.close()
assert threading.active_count() == 1, threading.enumerate()
sys.exit(code)
"""


def test_fork_leaves_the_parents_connection_alone(site: Site, tmp_path: Path) -> None:
    server = site.server()
    done = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path / "known_hosts"), repr(dict(site.host(server).vars))],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert logins(server) == 2
