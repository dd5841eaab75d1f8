"""Generated inventories, read by us and by `ansible-inventory --list`: hosts, groups and variables agree."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from interlink import errors
from interlink.config import inventory
from interlink.model.host import Inventory

Ask = Callable[[list[str]], Any]

GROUPS = ["web", "db", "site", "a-b", "Gpu"]  # a group's children come later in this list: no loops
PATTERNS = [
    "h1",
    "h2",
    "lone.example.org",
    "n[1:3]",
    "n[01:12:5]",
    "r[a:c]x",
    "p[1:2]:2200",
    "x[0:1]y[a:b]",
    "192.0.2.7",
    "h1:22",
]
NAMES = ["one", "two", "three", "ansible_user", "interlink_pods"]
LIMITS = [
    "web",
    "web:db",
    "all:!db",
    "!web",
    "h*",
    "~(n|r).*",
    "site:&web",
    "n1,h2,!h2",
    "a-b",
    "G*",
    "*",
    "web:!n0*:&site",
]
POSITIONS = ["web[0]", "web[-1]", "all[1:3]", "all[2:]", "all[0-1]:!h1", "db[1:1]", "h*[0]"]

values = st.one_of(
    st.integers(-5, 5),
    st.booleans(),
    st.none(),
    st.sampled_from(["", "text", "yes", "0x1F", "12:30", "~", "ä"]),
    st.lists(st.integers(0, 3), max_size=2),
    st.dictionaries(st.sampled_from(["k", "l"]), st.integers(0, 3), max_size=2),
)
variables = st.fixed_dictionaries(
    {},
    optional={
        "one": values,
        "two": values,
        "three": values,
        "ansible_user": st.sampled_from(["alice", "bob"]),
        "interlink_pods": st.integers(0, 9),
    },
)
group_variables = st.tuples(variables, st.none() | st.integers(0, 20)).map(
    lambda pair: pair[0] if pair[1] is None else {**pair[0], "ansible_group_priority": pair[1]}
)


def sections(name: str, depth: int) -> st.SearchStrategy[Any]:
    """A group's content: variables, hosts, and children that come later in GROUPS."""
    below = GROUPS if name == "all" else GROUPS[GROUPS.index(name) + 1 :]
    options: dict[str, st.SearchStrategy[Any]] = {
        "vars": group_variables,
        "hosts": st.one_of(
            st.none(),
            st.sampled_from(["h1", "n[1:3]"]),
            st.dictionaries(st.sampled_from(PATTERNS), st.none() | variables, max_size=4),
        ),
    }
    if below and depth:
        options["children"] = st.fixed_dictionaries({}, optional={n: sections(n, depth - 1) for n in below})
    return st.none() | st.fixed_dictionaries({}, optional=options)


inventories = st.fixed_dictionaries(
    {"all": sections("all", 3)},
    optional={**{n: sections(n, 1) for n in GROUPS[:3]}, "ungrouped": st.just({"hosts": {"loose": {"one": 1}}})},
)
file_names = st.sampled_from(
    ["{}", "{}.yml", "{}.yaml", "{}.json", "{}/a.yml", "{}/b/c.yaml", "{}/.hidden.yml", "{}/d.txt"]
)
group_files = st.lists(st.tuples(st.sampled_from(["all", "ungrouped", *GROUPS]), file_names, variables), max_size=4)
host_files = st.lists(st.tuples(st.sampled_from(["h1", "n1", "loose", "p2"]), file_names, variables), max_size=3)
sources = st.lists(st.tuples(inventories, group_files, host_files), min_size=1, max_size=2)


@pytest.fixture(scope="module")
def ask() -> Iterator[Ask]:
    """Answer what `ansible-inventory ARGUMENTS --list` says."""
    script = Path(__file__).with_name("ansible_oracle.py")
    with tempfile.TemporaryDirectory() as home:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": home,
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_INVENTORY_UNPARSED_FAILED": "1",
            "ANSIBLE_INVENTORY_ENABLED": "host_list,yaml",
        }
        process = subprocess.Popen(
            [sys.executable, str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=home,
            env=environment,
            text=True,
        )
        assert process.stdin
        assert process.stdout
        stdin, stdout = process.stdin, process.stdout

        def answer(arguments: list[str]) -> Any:
            stdin.write(json.dumps(arguments) + "\n")
            stdin.flush()
            line = stdout.readline()
            assert line, "ansible_oracle.py has ended"
            return json.loads(line)

        yield answer
        stdin.close()
        process.wait(30)
        stdout.close()


def write(base: Path, content: tuple[Any, Any, Any]) -> None:
    """Write an inventory with its files of variables."""
    data, groups, hosts = content
    base.mkdir(parents=True)
    (base / "hosts.yml").write_text(yaml.safe_dump(data, sort_keys=False))
    for kind, files in (("group_vars", groups), ("host_vars", hosts)):
        for name, pattern, content in files:
            path = base / kind / pattern.format(name)
            if path.exists() or any(p.is_file() for p in path.parents):
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(content) if path.suffix == ".json" else yaml.safe_dump(content))


@contextlib.contextmanager
def written(contents: list[tuple[Any, Any, Any]]) -> Iterator[list[str]]:
    """Write inventories for one example and return their files."""
    with tempfile.TemporaryDirectory() as base:
        paths = [Path(base) / f"s{i}" for i in range(len(contents))]
        for path, content in zip(paths, contents, strict=True):
            write(path, content)
        yield [str(path / "hosts.yml") for path in paths]


def theirs(answer: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return Ansible's groups (hosts and children) and variables by host."""
    groups = {n: (sorted(g.get("hosts", [])), sorted(g.get("children", []))) for n, g in answer.items() if n != "_meta"}
    hosts = {name: {} for members, _ in groups.values() for name in members}
    return {n: g for n, g in groups.items() if g[0] or g[1]}, {**hosts, **answer["_meta"]["hostvars"]}


def ours(found: Inventory) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the same of our own reading. ansible-inventory lists no hosts for `all` itself."""
    groups = {g.name: ([] if g.name == "all" else sorted(g.hosts), sorted(g.children)) for g in found.groups.values()}
    hosts = {h.name: json.loads(json.dumps(dict(h.vars), default=str)) for h in found.hosts.values()}
    return {n: g for n, g in groups.items() if g[0] or g[1]}, hosts


@settings(deadline=None, max_examples=25)
@given(sources)
def test_generated_inventories(ask: Ask, contents: list[tuple[Any, Any, Any]]) -> None:
    with written(contents) as files:
        answer = ask([word for file in files for word in ("-i", file)])
        expected_groups, expected_hosts = theirs(answer)
        if not expected_hosts:
            with pytest.raises(errors.ConfigError, match="no hosts"):
                inventory.load(files)
            return
        groups, hosts = ours(inventory.load(files))
        assert hosts == expected_hosts
        assert groups == expected_groups


def compare_limit(ask: Ask, content: Any, limit: str) -> None:
    """Where nothing has a name of the limit, Ansible warns and goes on; we refuse, and nothing is compared."""
    with written([(content, [], [])]) as files:
        answer = ask(["-i", *files, "--limit", limit])
        try:
            found = set(inventory.load(files, limit).hosts)
        except errors.ConfigError as error:
            assume("is called" not in str(error))
            found = set()
        assert found == (set() if answer is None else set(theirs(answer)[1]))


@settings(deadline=None, max_examples=12)
@given(inventories, st.sampled_from(LIMITS))
def test_limits(ask: Ask, content: Any, limit: str) -> None:
    compare_limit(ask, content, limit)


@settings(deadline=None, max_examples=12)
@given(sections("all", 1), st.sampled_from(POSITIONS))
def test_limits_by_position(ask: Ask, content: Any, limit: str) -> None:
    """Of flat groups alone: in deeper trees Ansible's order is that of a set, which nobody can predict."""
    compare_limit(ask, {"all": content}, limit)
