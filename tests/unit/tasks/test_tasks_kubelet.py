"""The command line of `interlink kubelet`: ours, and those of the virtual kubelets that came before."""

from __future__ import annotations

import logging
import subprocess
import sys

import pytest

from interlink.config.kubelet import Flags
from interlink.errors import InputError
from interlink.tasks import kubelet

SEEDS = (  # the start-up command of the oldest READMEs
    "-- --nodename A --provider knoc --provider-config ./scripts/cfg.json --startup-timeout 10s --klog.v 2"
    " --kubeconfig P --klog.logtostderr --log-level debug"
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", Flags()),
        (
            SEEDS,
            Flags(
                nodename=("A",),
                provider="knoc",
                provider_config="./scripts/cfg.json",
                startup_timeout="10s",
                kubeconfig="P",
                log_level="debug",
            ),
        ),
        ("-nodename vk -configpath /etc/c.yaml", Flags(nodename=("vk",), configpath="/etc/c.yaml")),
        ("--nodename=a --nodename b,c", Flags(nodename=("a", "b", "c"))),
        ("--klog.v=5 --disable-taint", Flags(log_level="debug", disable_taint=True)),
        ("--klog.v=9 --log-level=error", Flags(log_level="error")),
        ("--klog.alsologtostderr --klog.stderrthreshold=2 --namespace x", Flags(namespace="x")),
        ("--taint k=v --self-signed", Flags(taint="k=v", self_signed=True)),
    ],
)
def test_what_is_understood(line: str, expected: Flags) -> None:
    assert kubelet.parse(line.split()) == expected


def test_flags_that_change_nothing_are_told(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        kubelet.parse(["--enable-node-lease", "--metrics-addr", ":10255", "--os=Linux", "--pod-sync-workers=10"])
    assert {line.split(" ")[0] for line in caplog.messages} == {
        "--enable-node-lease",
        "--metrics-addr",
        "--os",
        "--pod-sync-workers",
    }


@pytest.mark.parametrize("line", ["--nodenam x", "surplus", "--nodename", "--kubeconf x"])
def test_what_nobody_understands_is_refused(line: str) -> None:
    with pytest.raises(InputError, match="interlink kubelet --help"):
        kubelet.parse(line.split())


def test_mistakes_end_with_two_and_one_line() -> None:
    for argv in (["--nodenam", "x"], ["--log-level", "loud"], ["--kubeconfig", "/nowhere/at/all"]):
        done = subprocess.run(
            [sys.executable, "-c", "from interlink.cli import main; main()", "kubelet", *argv],
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        assert done.returncode == 2, done
        assert done.stderr.count("\n") == 1, done.stderr
        assert done.stderr.startswith("interlink: ")


def test_a_command_imports_what_it_needs_alone() -> None:
    slow = ("aiohttp", "kubernetes", "sqlalchemy", "alembic", "falcon", "gunicorn")
    script = f"import sys, interlink.cli; print([m for m in {slow} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    assert done.stdout == "[]\n"
