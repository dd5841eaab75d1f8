"""Mistakes in inventories, each with the place and the cure; and the edges that the generated ones do not reach."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from interlink.config import inventory
from interlink.errors import ConfigError
from interlink.model.login import Login

MISTAKES = {
    "all:\n  hosts:\n    a: {interlink_drivr: docker}\n": r"i.yaml:3: interlink_drivr is no .*mean interlink_driver\?",
    "all:\n  vars:\n    interlink_xyzzy: 1\n": r"i.yaml:3: interlink_xyzzy is no variable of interLink$",
    "all:\n  vars:\n    interlink_driver: kvm\n": r"i.yaml:3: .*: 'kvm' is wrong: write one of auto, docker",
    "all:\n  vars:\n    interlink_root: '{{ home }}/x'\n": r"i.yaml:3: interlink_root holds a Jinja template",
    "all:\n  vars:\n    interlink_labels: {a: '{{ b }}'}\n": r"i.yaml:3: interlink_labels holds a Jinja template",
    "all:\n  vars:\n    interlink_ignore: ['{% x %}']\n": r"i.yaml:3: interlink_ignore holds a Jinja template",
    "all:\n  vars:\n    ansible_user: '{{ me }}'\n": r"i.yaml:3: ansible_user holds a Jinja template",
    "all:\n  vars:\n    ansible_port: ssh\n": r":3: ansible_port: 'ssh' .* to 65535 \(for example ansible_port: 2222\)",
    "all:\n  vars:\n    ansible_connection: winrm\n": r"i.yaml:3: ansible_connection: 'winrm' is wrong",
    "all:\n  vars:\n    ansible_ssh_common_args: --jump x\n": r"i.yaml:3: ansible_ssh_common_args: .*does not know",
    "all:\n  vars:\n    ansible_user: !vault x\n": r"i.yaml:3: .*_user is encrypted",
    "all:\n  hosts:\n    - a\n": r"i.yaml:2: hosts must be a mapping .* is a list",
    "all:\n  host:\n    a:\n": r"i.yaml:2: 'host' cannot stand in the group 'all'.*mean hosts\?",
    "all:\n  web:\n    hosts: {a: }\n": r"i.yaml:2: 'web' cannot stand .*belongs below `children`",
    "all:\n  hosts: {1: }\n": r"i.yaml:2: the host name 1 is a int; put it in quotes",
    "all:\n  hosts:\n    a: b\n": r"i.yaml:3: the host 'a' must hold variables, but is a text",
    "all:\n  hosts:\n    'a[3:1]':\n": r"i.yaml:3: \[3:1\] is empty: it runs backwards",
    "all:\n  hosts:\n    a b:\n": r"i.yaml:3: 'a b' is no host name",
    "all:\n  hosts:\n    -oProxyCommand=x:\n": r"i.yaml:3: '-oProxyCommand=x' is no host name",
    "all: web\n": r"i.yaml:1: the group 'all' must hold vars, children or hosts, but is a text",
    "1:\n  hosts: {a: }\n": r"i.yaml:1: 1 is no group name",
    "all:\n  hosts:\n    a:\n    a:\n": r"i.yaml:4: the key 'a' comes a second time \(first in line 3\)",
    "all:\n\thosts:\n": r"i.yaml:2: not valid YAML: .*",
    "all:\n  hosts: {a: \n": r"i.yaml:3: not valid YAML",
    "a: 1\n---\nb: 2\n": r"i.yaml:2: not valid YAML",
    "all: !!python/object:os.system {}\n": r"i.yaml:1: not valid YAML: could not determine a constructor",
    "all: *x\n": r"i.yaml:1: not valid YAML: found undefined alias",
    "all:\n  hosts:\n    a: {when: 2001-02-31}\n": r"i.yaml: not valid YAML: day is out of range",
    "all:\n  vars:\n    interlink_ignore: &a [*a]\n": r"i.yaml:3: interlink_ignore: .* is wrong: write a text",
    "[" * 5000: r"i.yaml.*: not valid YAML",
    "": r"i.yaml: a mapping .* is needed, the file is empty",
    "- a\n": r"i.yaml: a mapping .* is needed, found a list",
    "plugin: aws_ec2\n": r"i.yaml:1: is the configuration of an inventory plugin",
    "all:\n": r"i.yaml: the inventory has no hosts",
    "a:\n  children: {b: {children: {a: }}}\n": r"i.yaml:2: the group 'b' would be its own ancestor, through 'a'",
    "web:\n  children: {all: }\n  hosts: {a: }\n": r"i.yaml:2: the group 'all' would be its own ancestor",
    "all:\n  vars: {ansible_group_priority: high}\n": r"i.yaml:2: ansible_group_priority: 'high' is wrong",
    "[web]\na ansible_host=10.0.0.1\n": r"i.yaml:1: looks like .* INI .*ansible-inventory -i .*i.yaml --list --yaml",
    "a\nb ansible_port=2\n": r"i.yaml:2: looks like Ansible's INI format",
    "#!/usr/bin/python\nprint('{}')\n": r"i.yaml: is a script, which is not run",
    "$ANSIBLE_VAULT;1.1;AES256\n61\n": r"i.yaml: is encrypted by Ansible Vault; .*: ansible-vault decrypt",
    "a:\n  vars: {interlink_node: n}\n  hosts: {x: }\nb:\n  vars: {interlink_node: n}\n  hosts: {y: }\n": (
        r"i.yaml:5: the groups 'a' and 'b' both name the node 'n'; put a group above"
    ),
}


def load(tmp_path: Path, text: str, **files: str) -> Any:
    (tmp_path / "i.yaml").write_text(text)
    for name, content in files.items():
        path = tmp_path / name.replace("__", "/")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
    return inventory.load([str(tmp_path / "i.yaml")])


@pytest.mark.parametrize(("text", "message"), MISTAKES.items())
def test_mistakes(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, text)


def test_a_mistake_beside_the_file_is_found_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"group_vars/web:2: interlink_pods: 'x' is wrong"):
        load(tmp_path, "web:\n  hosts: {a: }\n", group_vars__web="one: 1\ninterlink_pods: x\n")
    with pytest.raises(ConfigError, match=r"host_vars/a: is encrypted by Ansible Vault"):
        load(tmp_path, "db:\n  hosts: {a: }\n", host_vars__a="$ANSIBLE_VAULT;1.1;AES256\n61\n")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "none", "cannot be read: No such file"), (tmp_path / "latin", "not UTF-8")):
        (tmp_path / "latin").write_bytes("all: {hosts: {ä: }}".encode("latin-1"))
        with pytest.raises(ConfigError, match=message):
            inventory.load([str(path)])


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="xxx: cannot be read: File name too long"):
        inventory.load(["x" * 300])
    (tmp_path / "group_vars").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: File name too long"):
        load(tmp_path, f"{'g' * 300}:\n  hosts: {{a: }}\n")


def test_what_is_encrypted_and_not_ours_is_left_alone(tmp_path: Path) -> None:
    found = load(tmp_path, "all:\n  hosts:\n    a: {ansible_become_password: !vault abc, note: !unsafe '{{ x }}'}\n")
    assert found.hosts["a"].vars == {"ansible_become_password": "abc", "note": "{{ x }}"}


def test_without_sources_there_is_this_machine() -> None:
    [host] = inventory.load([]).hosts.values()
    assert (host.name, Login.of(host).local, host.driver) == ("localhost", True, "auto")


def test_a_list_of_hosts() -> None:
    found = inventory.load(["b,a,"])
    assert list(found.hosts) == ["b", "a"]
    assert found.groups["ungrouped"].hosts == ("b", "a")
    with pytest.raises(ConfigError, match="no hosts"):
        inventory.load([","])


def test_a_directory_is_read_in_the_order_of_names(tmp_path: Path) -> None:
    for name, text in {
        "10.yml": "all:\n  hosts: {a: {x: 1, y: 1}}\n",
        "20/b.yaml": "all:\n  hosts: {a: {x: 2}}\n",
        "notes.md": "no inventory",
        ".hidden": "no inventory",
        "group_vars/all.yml": "z: 3\n",
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    found = inventory.load([str(tmp_path)])
    assert found.hosts["a"].vars == {"x": 2, "y": 1, "z": 3}
    looked_at = ["", "10.yml", "20", "20/b.yaml", "group_vars", "host_vars", "group_vars/all.yml"]
    assert found.files == tuple(str(tmp_path / name) for name in looked_at)


def test_old_spellings_give_way_to_present_ones(tmp_path: Path) -> None:
    text = "all:\n  hosts:\n    a: {ansible_ssh_host: h1, ansible_ssh_port: 22}\n"
    found = load(tmp_path, text + "    b: {ansible_ssh_host: h1, ansible_host: h2}\n")
    assert (Login.of(found.hosts["a"]).address, Login.of(found.hosts["a"]).port) == ("h1", 22)
    assert Login.of(found.hosts["b"]).address == "h2"


def test_values_arrive_as_the_program_wants_them(tmp_path: Path) -> None:
    values = "{interlink_keep_log_bytes: 1Mi, interlink_pods: '7', interlink_allow: hostNetwork, ansible_user: }"
    host = load(tmp_path, f"all:\n  hosts:\n    a: {values}\n").hosts["a"]
    assert host.get("interlink_keep_log_bytes") == 1 << 20
    assert (host.get("interlink_pods"), host.get("interlink_allow")) == (7, ["hostNetwork"])
    assert Login.of(host).user is None


def test_merge_keys_and_anchors(tmp_path: Path) -> None:
    text = "all:\n  hosts:\n    a: &a {x: 1, y: 1}\n    b: {<<: *a, y: 2}\n    c: *a\n"
    found = load(tmp_path, text)
    assert [dict(found.hosts[h].vars) for h in "abc"] == [{"x": 1, "y": 1}, {"x": 1, "y": 2}, {"x": 1, "y": 1}]


def test_a_mistake_behind_a_merge_key_is_shown_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"i.yaml:3: interlink_pods: 'x' is wrong"):
        load(tmp_path, "all:\n  vars:\n    base: &a {interlink_pods: x}\n  hosts:\n    b: {<<: *a}\n")


def test_one_node_may_be_named_by_a_group_and_those_below_it(tmp_path: Path) -> None:
    text = "a:\n  vars: {interlink_node: n}\n  children:\n    b:\n      vars: {interlink_node: n}\n      hosts: {x: }\n"
    assert load(tmp_path, text).hosts["x"].node == "n"


def test_limits_that_cannot_be_meant(tmp_path: Path) -> None:
    (tmp_path / "i.yaml").write_text("web:\n  hosts: {'w[1:3]': }\n")
    (tmp_path / "some").write_text("w1\n\nw2:w3\n")
    source = [str(tmp_path / "i.yaml")]
    for limit, message in {
        "wbe": r"no host or group is called 'wbe'; did you mean web\?",
        "w1:!w1": "selects none of the 3 hosts",
        "web[7]": "selects none",
        "!": "'!' lacks its pattern",
        "~(": "no regular expression",
        f"@{tmp_path}/none": "none: cannot be read",
    }.items():
        with pytest.raises(ConfigError, match=message):
            inventory.load(source, limit)
    assert list(inventory.load(source, f"@{tmp_path}/some").hosts) == ["w1", "w2", "w3"]
    assert inventory.load(source, "w2").groups["web"].hosts == ("w2",)


def test_addresses_as_names(tmp_path: Path) -> None:
    found = load(tmp_path, "all:\n  hosts:\n    '[fd00::1]:2222':\n    fd00::2:\n    192.0.2.1:22:\n")
    assert {n: h.get("ansible_port") for n, h in found.hosts.items()} == {
        "fd00::1": 2222,
        "fd00::2": None,
        "192.0.2.1": 22,
    }
    assert list(inventory.load([str(tmp_path / "i.yaml")], "fd00::1").hosts) == ["fd00::1"]


def test_a_site_of_thousands_is_read_quickly(tmp_path: Path) -> None:
    groups = "".join(
        f"    g{i}:\n      hosts: {{'n{i}-[001:100]': {{x: 1}}}}\n      vars: {{y: {i}}}\n" for i in range(100)
    )
    began = time.monotonic()
    assert len(load(tmp_path, f"all:\n  children:\n{groups}").hosts) == 10_000
    assert time.monotonic() - began < 30
