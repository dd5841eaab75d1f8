"""Ansible's connection variables as a Login: a table of lines that real inventories hold."""

from __future__ import annotations

import pytest

from interlink.model import sshargs
from interlink.model.host import Host
from interlink.model.login import Login

ARGUMENTS = {
    "": [],
    "-J gate": [("proxyjump", "gate")],
    "-Ja@gate:2222,b@inner": [("proxyjump", "a@gate:2222,b@inner")],
    "-o ProxyJump=gate": [("proxyjump", "gate")],
    "-o 'ProxyCommand ssh -W %h:%p -q gate'": [("proxycommand", "ssh -W %h:%p -q gate")],
    '-o ProxyCommand="ssh -W %h:%p -q gate"': [("proxycommand", "ssh -W %h:%p -q gate")],
    "-o 'UserKnownHostsFile = /dev/null'": [("userknownhostsfile", "/dev/null")],
    "-o ControlMaster=auto -o ControlPersist=60s": [("controlmaster", "auto"), ("controlpersist", "60s")],
    "-qC -p22 -l alice -i ~/.ssh/id": [
        ("compression", "yes"),
        ("port", "22"),
        ("user", "alice"),
        ("identityfile", "~/.ssh/id"),
    ],
    "-o SetEnv=A=b": [("setenv", "A=b")],
}

WRONG = {
    "gate": "no option of ssh",
    "-J": "-J lacks its value",
    "-o": "-o lacks its value",
    "-o Compression": "no setting",
    "-o ' '": "no setting",
    "-Z": "does not know",
    "-": "no option of ssh",
    "-o 'x": "No closing quotation",
}


def login(**variables: object) -> Login:
    return Login.of(Host("h", vars=variables))


@pytest.mark.parametrize(("line", "expected"), ARGUMENTS.items())
def test_arguments_of_ssh(line: str, expected: list[tuple[str, str]]) -> None:
    assert sshargs.parse(line) == expected


@pytest.mark.parametrize(("line", "message"), WRONG.items())
def test_wrong_arguments_are_refused(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        login(ansible_ssh_common_args=line)


def test_a_bare_host_leaves_everything_to_ssh_config() -> None:
    assert login() == Login(address="h")


def test_variables_win_over_arguments() -> None:
    got = login(ansible_port=22, ansible_user="a", ansible_ssh_common_args="-p 23 -l b", ansible_host="192.0.2.1")
    assert (got.port, got.user, got.address, got.options) == (22, "a", "192.0.2.1", {})


def test_the_first_argument_wins_and_keys_add_up() -> None:
    got = login(
        ansible_ssh_private_key_file="k1",
        ansible_ssh_common_args="-i k2 -J one",
        ansible_ssh_extra_args="-J two -o ConnectTimeout=5",
    )
    assert got.identity_files == ("k1", "k2")
    assert got.jumps == ("one",)
    assert got.options == {"connecttimeout": "5"}


def test_hops_keep_their_order() -> None:
    assert login(ansible_ssh_common_args="-J a@one:2200,two").jumps == ("a@one:2200", "two")


def test_none_means_no_hop() -> None:
    got = login(ansible_ssh_common_args="-o ProxyJump=none -o ProxyCommand=none")
    assert (got.jumps, got.proxy_command) == ((), None)


@pytest.mark.parametrize(("connection", "local"), [("local", True), ("smart", False), ("ssh", False)])
def test_connection(connection: str, local: bool) -> None:
    assert login(ansible_connection=connection).local is local


@pytest.mark.parametrize("port", [0, 65536, "http"])
def test_a_wrong_port_is_refused(port: object) -> None:
    with pytest.raises(ValueError, match="no port"):
        login(ansible_ssh_common_args=f"-p {port}")
