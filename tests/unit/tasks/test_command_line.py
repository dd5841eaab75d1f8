"""How a command line is read, and the help that it gives."""

from __future__ import annotations

import sys

import pytest

from interlink import cli, tasks


def said(argv: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["interlink", *argv])
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    else:
        code = 0
    return code, *capsys.readouterr()


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize(
    ("command", "usage"),
    [
        (["run"], "Usage: interlink run MANIFEST [options]"),
        (["run", "pod.yaml"], "Usage: interlink run MANIFEST [options]"),
        (["pods.logs"], "Usage: interlink pods.logs POD [options]"),
        (["sidecar"], "Usage: interlink sidecar DRIVER [options]"),
        (["hosts.list"], "Usage: interlink hosts.list [options]"),
    ],
)
def test_help_of_a_command(
    command: list[str], usage: str, flag: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said([*command, flag], monkeypatch, capsys)
    assert (code, out.splitlines()[0], err) == (0, usage, "")


def test_no_option_takes_the_letter_of_the_help() -> None:
    contexts = tasks.namespace().to_contexts()
    assert len(contexts) > 20
    assert [c.name for c in contexts if "-h" in c.flags] == []


def test_every_option_is_explained() -> None:
    contexts = tasks.namespace().to_contexts()
    bare = {f"{c.name} {a.name}" for c in contexts for a in c.args.values() if not a.help}
    assert bare == set()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["nonsense"], "No idea what 'nonsense' is!"),
        (["nonsense", "--help"], "No idea what 'nonsense' is!"),
        (["run", "p.yaml", "--nonsense"], "No idea what '--nonsense' is!"),
        (["sidecar"], "no sidecar ''; there are docker, mock, shell, slurm"),
        (["sidecar", "--listen", "127.0.0.1:0"], "no sidecar ''; there are docker, mock, shell, slurm"),
        (["sidecar", "podman"], "no sidecar 'podman'; there are docker, mock, shell, slurm"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_2(
    argv: list[str], message: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = said(argv, monkeypatch, capsys)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
