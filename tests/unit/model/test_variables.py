"""The table of host variables: documented, right by its own examples, and complete for what the code reads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from interlink.model import kinds, variables

PACKAGE = Path(variables.__file__).parents[1]
READS = re.compile(r"""(?:host|vars|variables)(?:\.get\(|\[)\s*["'](interlink_[a-z_]+)["']""")


@pytest.mark.parametrize("row", variables.ALL.values(), ids=lambda row: row.name)
def test_every_variable_is_documented_and_its_example_is_right(row: variables.Variable) -> None:
    assert row.doc[0].isupper() or row.doc.startswith("ssh")
    assert row.doc.endswith(".")
    assert row.kind(row.example) is not None
    if row.default not in (None, "", ()):
        assert row.kind(row.default) == row.default


def test_the_code_reads_no_variable_that_the_table_lacks() -> None:
    read = {name for path in PACKAGE.rglob("*.py") for name in READS.findall(path.read_text("utf-8"))}
    assert len(read) > 5
    assert read <= set(variables.OURS)


def test_old_spellings_lead_to_variables() -> None:
    assert set(variables.ALIASES.values()) <= set(variables.ALL)
    assert not set(variables.ALIASES) & set(variables.ALL)


RIGHT: list[tuple[kinds.Kind, Any, Any]] = [
    (kinds.text, 5, "5"),
    (kinds.text, " a ", "a"),
    (kinds.boolean, "yes", True),
    (kinds.boolean, False, False),
    (kinds.boolean, 1, True),
    (kinds.integer(0), "7", 7),
    (kinds.seconds, "0.5", 0.5),
    (kinds.size, "1Ki", 1024),
    (kinds.size, 5, 5),
    (kinds.listing(kinds.text), "a", ["a"]),
    (kinds.listing(kinds.text), ["a", 2], ["a", "2"]),
    (kinds.argv, "renew --for 'a b'", ["renew", "--for", "a b"]),
    (kinds.argv, ["renew", 1], ["renew", "1"]),
    (kinds.remote_directory, "~/x/", "~/x"),
    (kinds.remote_directory, "/x", "/x"),
    (kinds.absolute_path, "/", "/"),
    (kinds.absolute_path, "/data/", "/data"),
    (kinds.address, "10.0.0.1", "10.0.0.1"),
    (kinds.address, "FD00::1", "fd00::1"),
    (kinds.node_name, "a.b-c", "a.b-c"),
    (kinds.labels, {"a/b": 1, "c": True, "d": None}, {"a/b": "1", "c": "true", "d": ""}),
    (kinds.taints, ["k=v:NoExecute", "k:NoSchedule"], [
        {"key": "k", "value": "v", "effect": "NoExecute"},
        {"key": "k", "value": "", "effect": "NoSchedule"},
    ]),
    (kinds.taints, [{"key": "k"}], [{"key": "k", "value": "", "effect": "NoSchedule"}]),
    (kinds.capacity, {"cpu": 0.5, "memory": "64Gi", "a.b/c": 2}, {"cpu": "500m", "memory": "64Gi", "a.b/c": "2"}),
]  # fmt: skip

WRONG: list[tuple[kinds.Kind, Any, str]] = [
    (kinds.text, "", "one line"),
    (kinds.text, "a\nb", "one line"),
    (kinds.text, ["a"], "write a text"),
    (kinds.text, True, "write a text"),
    (kinds.boolean, "maybe", "true or false"),
    (kinds.integer(0), -1, "at least 0"),
    (kinds.integer(1, 5), 6, "from 1 to 5"),
    (kinds.integer(0), 1.5, "whole number"),
    (kinds.integer(0), True, "whole number"),
    (kinds.seconds, 0, "above 0"),
    (kinds.seconds, True, "above 0"),
    (kinds.seconds, "nan", "above 0"),
    (kinds.seconds, "soon", "above 0"),
    (kinds.size, "5 MB", "no|not a quantity"),
    (kinds.choice("a", "b"), "c", "one of a, b"),
    (kinds.argv, [], "write a command"),
    (kinds.argv, "'", "quotation"),
    (kinds.ssh_arguments, "-Z", "does not know"),
    (kinds.remote_directory, "x", "absolute"),
    (kinds.remote_directory, "/", "absolute"),
    (kinds.remote_directory, "/a/../b", r"without \.\."),
    (kinds.remote_directory, "~bob/x", "absolute"),
    (kinds.absolute_path, "data", "absolute"),
    (kinds.absolute_path, "/a/..", r"without \.\."),
    (kinds.address, "localhost", "IP address"),
    (kinds.node_name, "Big_Node", "lower-case"),
    (kinds.labels, ["a"], "mapping"),
    (kinds.labels, {"a b": "c"}, "no Kubernetes name"),
    (kinds.labels, {"A_/b": "c"}, "DNS name"),
    (kinds.labels, {"a": "b c"}, "no label value"),
    (kinds.labels, {"a": "x" * 64}, "no label value"),
    (kinds.taints, "k=v:NoSchedule", "as a list"),
    (kinds.taints, ["k=v"], "write a taint|one of"),
    (kinds.taints, [{"key": "k", "efect": "NoSchedule"}], "write a taint"),
    (kinds.taints, ["k=v:Never"], "one of NoSchedule"),
    (kinds.capacity, {"gpu": 1}, "DOMAIN/NAME"),
    (kinds.capacity, {"cpu": -1}, "no possible amount"),
    (kinds.capacity, {"nvidia.com/gpu": 0.5}, "no possible amount"),
    (kinds.capacity, {"memory": "lots"}, "not a quantity"),
    (kinds.capacity, 4, "mapping of resources"),
]


@pytest.mark.parametrize(("kind", "value", "expected"), RIGHT)
def test_right_values(kind: kinds.Kind, value: Any, expected: Any) -> None:
    assert kind(value) == expected


@pytest.mark.parametrize(("kind", "value", "message"), WRONG)
def test_wrong_values(kind: kinds.Kind, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(value)
