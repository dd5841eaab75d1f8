"""Command, arguments, environment and working directory reach the process byte for byte."""

from __future__ import annotations

import pytest

from interlink import errors
from tests.contract.support import Box, Rig

pytestmark = pytest.mark.needs("processes")

WORDS = [
    "plain", "two words", "", " ", "-n", "--", "a'b", 'a"b', "a\\b", "$HOME", "`id`", "$(id)", ";", "*", "~", "#x",
    "!x", "a\nb", "\n", "a\tb", "ünï☃", "\\n", "%s", "{a,b}", "&& false", "<x>", "a=b", "\r", "\x01\x7f", "x" * 5000,
]  # fmt: skip
SHOW = ["sh", "-c", 'for a; do printf "%s\\036" "$a"; done', "sh"]
VALUES = {f"V{n}": word for n, word in enumerate([*WORDS, "final newline\n", "a,b", "x" * 100_000])}


def escaped(word: str) -> str:
    """Write a word so that the kubelet's expansion gives it back."""
    return word.replace("$", "$$")


def test_arguments(rig: Rig) -> None:
    argv = [escaped(word) for word in [*SHOW, *WORDS]]
    with rig.run(Box(argv=argv)) as run:
        run.ended()
        assert run.log().decode().split("\036")[:-1] == WORDS


def test_args_follow_the_command(rig: Rig) -> None:
    more = {"args": ["one", "two words"]}
    with rig.run(Box(argv=SHOW, more=more)) as run:
        run.ended()
        assert run.log() == b"one\036two words\036"


def test_environment(rig: Rig) -> None:
    show = "".join(f'printf "%s\\036" "${name}";' for name in VALUES)
    env = [{"name": name, "value": escaped(value)} for name, value in VALUES.items()]
    with rig.run(Box(show, more={"env": env})) as run:
        run.ended()
        assert run.log().decode().split("\036")[:-1] == list(VALUES.values())


def test_references_and_order(rig: Rig) -> None:
    env = [
        {"name": "A", "value": "one"},
        {"name": "B", "value": "$(A) $(LATER) $$(A) $(MISSING)"},
        {"name": "LATER", "value": "late"},
        {"name": "A", "value": "two"},
    ]
    with rig.run(Box(argv=["sh", "-c", 'echo "$A|$B|$1"', "sh", "$(LATER)"], more={"env": env})) as run:
        run.ended()
        assert run.log() == b"two|one $(LATER) $(A) $(MISSING)|late\n"


def test_environment_from_configmap_and_secret(rig: Rig) -> None:
    more = {
        "envFrom": [{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
        "env": [
            {"name": "K", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}},
            {"name": "NONE", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k", "optional": True}}},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
        ],
    }
    box = Box('echo "$P_k|$pw|$K|${NONE-unset}|$POD"', more=more)
    configmaps = [{"metadata": {"name": "cm"}, "data": {"k": "v"}}]
    secrets = [{"metadata": {"name": "s"}, "data": {"pw": "czNjcmV0"}}]
    with rig.run(box, configmaps=configmaps, secrets=secrets) as run:
        run.ended()
        assert run.log() == b"v|s3cret|v|unset|contract\n"


def test_the_pods_own_address(rig: Rig) -> None:
    field = {"fieldRef": {"fieldPath": "status.podIP"}}
    with rig.run(Box('echo "ip=$IP"', more={"env": [{"name": "IP", "valueFrom": field}]})) as run:
        status = run.ended()
        log = run.log().decode().strip()
        assert log.count(".") == 3
        assert not status.pod_ip or log == f"ip={status.pod_ip}"


def test_a_clean_environment(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEAKED_FROM_TEST", "1")
    with rig.run(Box("env")) as run:
        run.ended()
        names = {line.split("=")[0] for line in run.log().decode().splitlines()}
        assert "PATH" in names
        assert not {name for name in names if name.startswith(("APPTAINER", "SINGULARITY", "SLURM"))}
        assert not names & {"LEAKED_FROM_TEST", "SSH_CONNECTION", "SSH_CLIENT", "MAIL", "PYTEST_CURRENT_TEST"}


def test_a_program_is_called_by_the_name_it_was_given(rig: Rig) -> None:
    with rig.run(Box(argv=["cat", "/proc/self/cmdline"])) as run:
        run.ended()
        assert run.log() == b"cat\0/proc/self/cmdline\0"


def test_working_directory(rig: Rig) -> None:
    with rig.run(Box("pwd", more={"workingDir": "/usr"})) as run:
        run.ended()
        assert run.log() == b"/usr\n"


def test_a_value_too_long_is_refused_by_name(rig: Rig) -> None:
    request = rig.pod(Box("true", more={"env": [{"name": "BIG", "value": "x" * (129 << 10)}]}))
    with pytest.raises(errors.InvalidPod) as caught:
        rig.driver.create(request)
    assert "env" in (caught.value.field or "")


@pytest.mark.lacks("odd-env")
@pytest.mark.parametrize("name", ["A.B", "a-b", "1X"])
def test_an_odd_name_is_refused_by_name(rig: Rig, name: str) -> None:
    with pytest.raises(errors.Unsupported) as caught:
        rig.driver.create(rig.pod(Box("true", more={"env": [{"name": name, "value": "x"}]})))
    assert name in str(caught.value)


@pytest.mark.needs("odd-env")
@pytest.mark.parametrize("name", ["A.B", "a-b", "1X"])
def test_an_odd_name_is_passed(rig: Rig, name: str) -> None:
    with rig.run(Box(argv=["env"], more={"env": [{"name": name, "value": "odd value"}]})) as run:
        run.ended()
        assert f"{name}=odd value\n".encode() in run.log()


def test_stdin_is_empty(rig: Rig) -> None:
    with rig.run(Box("cat; echo over")) as run:
        run.ended()
        assert run.log() == b"over\n"


def test_stdout_and_stderr_are_one_log_without_chatter(rig: Rig) -> None:
    with rig.run(Box("echo out; echo err >&2; exit 1")) as run:
        run.ended()
        assert sorted(run.log().splitlines()) == [b"err", b"out"]
