"""Where the control plane's programs come from, without running any of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab import machine, process
from tests.lab.controlplane import programs


def filled(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).touch(mode=0o755)
    return directory


@pytest.fixture(autouse=True)
def nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "cache", lambda: tmp_path / "cache")
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    monkeypatch.delenv(programs.ASSETS, raising=False)


def test_the_named_directory_wins_over_the_cache_and_the_cache_over_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path = filled(tmp_path / "path", *programs.NAMES)
    assert programs.directory() == on_path
    cache = filled(tmp_path / "cache", *programs.NAMES)
    assert programs.directory() == cache
    named = filled(tmp_path / "named", *programs.NAMES)
    monkeypatch.setenv(programs.ASSETS, str(named))
    assert programs.directory() == named
    assert programs.build() == []


def test_a_directory_that_lacks_one_is_not_mixed_with_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(programs.ASSETS, str(filled(tmp_path / "named", "etcd", "kube-apiserver", "kubectl")))
    assert programs.directory() is None
    cache = filled(tmp_path / "cache", *programs.NAMES)
    assert programs.directory() == cache


def test_without_go_one_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "go", lambda: None)
    assert "install Go" in programs.obstacle()
    assert programs.ASSETS in programs.obstacle()
    with pytest.raises(process.LabError, match="install Go"):
        programs.build()


def test_with_go_one_is_told_how_to_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(programs, "go", lambda: "/usr/bin/go")
    assert "lab.up" in programs.obstacle()


def test_a_build_that_fails_leaves_nothing_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go = filled(tmp_path / "path", "go") / "go"
    go.write_text('#!/bin/sh\necho "no required module provides package $*" >&2\nexit 1\n')
    with pytest.raises(process.LabError, match=r"no required module .*-trimpath .*gitVersion=v1.*kube-apiserver"):
        programs.build()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]


def test_the_version_is_the_pins() -> None:
    assert programs.version().startswith("v1.")
    assert f"gitVersion={programs.version()}" in programs.ldflags()


def test_slow_parts_are_parts_and_not_started_unasked() -> None:
    assert set(machine.SLOW) < set(machine.PARTS)
    assert not set(machine.SLOW) & set(machine.QUICK)
