"""Which libraries go along with a release, and what they are called."""

from __future__ import annotations

import io
import tarfile
from dataclasses import replace
from importlib import metadata

from interlink.deploy import libraries, machine
from interlink.deploy.libraries import Libraries
from interlink.deploy.machine import Machine
from interlink.deploy.releases import Release
from interlink.deploy.wheel import Wheel

THERE = Machine("ada", 1000, "/home/ada/x", "/usr/bin/python3", "pidfile", tag="cpython-311-x86_64-linux-gnu")
WHEEL = Wheel("1.0", b"content")
FEW = Libraries(THERE.tag, (metadata.distribution("PyYAML"), metadata.distribution("invoke")))


def test_what_interlink_requires_goes_along_and_what_only_its_tests_require_does_not() -> None:
    found = libraries.collect()
    assert found is not None
    names = {each.name.lower().replace("_", "-") for each in found.distributions}
    assert names >= {"paramiko", "bcrypt", "psycopg-binary", "pyyaml"}, "its requirements' requirements and extras, too"
    assert names.isdisjoint({"interlink", "pytest", "mypy", "pip"})


def test_an_archive_holds_modules_and_metadata_and_nothing_compiled() -> None:
    with tarfile.open(fileobj=io.BytesIO(FEW.archive())) as tar:
        names = tar.getnames()
    assert "yaml/__init__.py" in names
    assert any(name.endswith(".dist-info/METADATA") for name in names)
    assert not [name for name in names if "__pycache__" in name or name.startswith(("..", "/"))]


def test_a_release_is_called_by_all_that_is_in_it() -> None:
    names = {
        Release.of(WHEEL, FEW, THERE).name,
        Release.of(WHEEL, replace(FEW, distributions=FEW.distributions[:1]), THERE).name,
        Release.of(Wheel("1.0", b"other"), FEW, THERE).name,
        Release.of(WHEEL, None, THERE).name,
    }
    assert len(names) == 4
    assert all(name.startswith("1.0-") for name in names)


def test_another_python_gets_its_libraries_from_pip() -> None:
    assert Release.of(WHEEL, FEW, THERE).libraries is FEW
    assert Release.of(WHEEL, FEW, replace(THERE, tag="cpython-312-x86_64-linux-gnu")).libraries is None
    assert Release.of(WHEEL, FEW, replace(THERE, tag="cpython-311-aarch64-linux-gnu")).libraries is None


ANSWER = "uid 1000\nbase /home/ada/x\npython /usr/bin/python3\nversion 3.11\nvenv yes\nensurepip no\nfree 9999999\n"


def complaints(answer: str) -> str:
    return "; ".join(machine.complaints(machine.parse(answer), "python3"))


def test_pythons_that_do_not_do_are_told_with_their_cure() -> None:
    assert complaints(ANSWER) == "", "pip is asked for only where it is needed"
    assert machine.of(machine.parse(ANSWER), "auto").pip is False
    for version in ("2.7", "3.9"):
        told = complaints(ANSWER.replace("3.11", version))
        assert f"is Python {version}, and 3.10 is needed: install a newer one" in told
    assert "there is no python3: install" in complaints(ANSWER.replace("python /usr/bin/python3\n", ""))
    assert "apt-get install python3-venv" in complaints(ANSWER.replace("venv yes", "venv no"))


def test_what_only_a_new_release_needs_does_not_keep_anybody_from_the_old_one() -> None:
    full = machine.of(machine.parse(ANSWER.replace("9999999", "99999")), "auto")
    assert complaints(ANSWER.replace("9999999", "99999")) == ""
    [space] = machine.lacks(full, fetches=False)
    assert space.startswith("only 97 MiB are free where /home/ada/x is to be")
    [_, pip] = machine.lacks(full, fetches=True)
    assert "apt-get install python3-venv" in pip
    assert list(machine.lacks(machine.of(machine.parse(ANSWER), "auto"), fetches=False)) == []
