"""`interlink run` as a user has it: the installed command, real hosts, real pods."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from interlink import cli

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))
HERE = {"ansible_connection": "local", "interlink_driver": "shell"}
SAID = {
    "busyecho_k8s.yaml": r"busyecho \| hello from busyecho, pod busyecho\n",
    "stages.yaml": r"sum \| the sum is 5050\n",
    "settings.yaml": r"greet \| Ciao, ada\ngreet \| 400 /account/password\n",
    "retry.yaml": r"flaky \| try 1\nflaky \| try 2\nflaky \| try 3\n",
}


@dataclass
class Cli:
    """The command `interlink` with a state and an inventory of this test's own."""

    state: Path
    inventory: Path

    def start(self, *args: str, **options: Any) -> subprocess.Popen[str]:
        environ = {**os.environ, "INTERLINK_STATE": str(self.state), "INTERLINK_INVENTORY": str(self.inventory)}
        program = Path(sys.executable).parent / "interlink"
        return subprocess.Popen(
            [program, *args],
            cwd=ROOT,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **options,
        )

    def __call__(self, *args: str, code: int = 0, timeout: float = 180) -> str:
        """Run to the end; return stdout. stderr is shown where the exit code is not the expected one."""
        with self.start(*args) as process:
            try:
                out, err = process.communicate(timeout=timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
        assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
        assert "Traceback" not in err, err
        self.err = err
        return out

    err: str = ""


@pytest.fixture
def on_host(tmp_path: Path) -> Callable[..., Cli]:
    def make(variables: Mapping[str, Any]) -> Cli:
        file = tmp_path / "inventory.yaml"
        file.write_text(json.dumps({"all": {"hosts": {"h1": dict(variables)}}}))
        return Cli(tmp_path / "state", file)

    return make


@pytest.fixture
def on_docker(docker_host: Any, on_host: Callable[..., Cli]) -> Cli:
    return on_host({**docker_host.variables, "interlink_driver": "docker"})


@pytest.fixture
def here(on_host: Callable[..., Cli], tmp_path: Path) -> Cli:
    """This machine, as if it had no engine."""
    root = str(tmp_path / "root")
    return on_host({**HERE, "interlink_root": root})


def pod(name: str, *command: str, **spec: Any) -> dict[str, Any]:
    container = {"name": "c", "image": "busybox:1.36", "command": list(command)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "terminationGracePeriodSeconds": 1, "containers": [container], **spec},
    }


def written(path: Path, *documents: Any) -> str:
    path.write_text("\n---\n".join(json.dumps(d) for d in documents))
    return str(path)


@pytest.mark.lab
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda p: p.stem)
def test_every_example_runs_on_docker(example: Path, on_docker: Cli) -> None:
    said = on_docker("run", f"examples/{example.name}")
    assert re.search(SAID[example.name], said), said
    assert on_docker("pods.list").count("\n") == 1, "nothing is left but the heading"


def test_the_first_example_needs_no_engine(here: Cli) -> None:
    said = here("run", "examples/busyecho_k8s.yaml")
    assert re.fullmatch(r"busyecho \| hello from \S+, pod busyecho\n", said)
    assert "without isolation" in here.err


def test_the_exit_code_is_the_pods(here: Cli, tmp_path: Path) -> None:
    here("run", written(tmp_path / "p.json", pod("p", "sh", "-c", "exit 7")), code=7)
    several = written(tmp_path / "s.json", pod("a", "sh", "-c", "echo one"), pod("b", "sh", "-c", "echo two; exit 3"))
    said = here("run", several, code=3)
    assert sorted(said.splitlines()) == ["a/c | one", "b/c | two"]


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_nothing(here: Cli, tmp_path: Path, stop: signal.Signals) -> None:
    pid_file = tmp_path / "pid"
    manifest = written(tmp_path / "p.json", pod("p", "sh", "-c", f"echo $$ > {pid_file}; sleep 600"))
    with here.start("run", manifest) as process:
        wait_for(lambda: pid_file.exists() and pid_file.read_text().strip())
        process.send_signal(stop)
        assert process.wait(60) == 130
        assert process.stderr is not None
        assert "interrupted" in process.stderr.read()
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
    assert here("pods.list").count("\n") == 1


def test_a_run_whose_output_nobody_reads_ends_and_leaves_nothing(here: Cli, tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = f"echo $$ > {pid_file}; while :; do echo more; sleep 0.1; done"
    with here.start("run", written(tmp_path / "p.json", pod("p", "sh", "-c", script))) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "c | more\n"
        process.stdout.close()  # as `head -1` does
        assert process.wait(240) == 141
        told = process.stderr.read()
    assert "nobody reads the logs any more" in told
    assert "Traceback" not in told
    assert not Path(f"/proc/{pid_file.read_text().strip()}").exists()
    assert here("pods.list").count("\n") == 1


def test_detached_pods_go_on_and_can_be_read_and_deleted(here: Cli, tmp_path: Path) -> None:
    manifest = written(tmp_path / "p.json", pod("lasting", "sh", "-c", "echo started; sleep 600"))
    assert here("run", manifest, "--detach") == ""
    wait_for(lambda: "started" in here("pods.logs", "lasting"))
    [record] = json.loads(here("pods.list", "--json"))["pods"]
    assert (record["name"], record["host"]) == ("lasting", "h1")
    assert json.loads(here("pods.show", record["uid"]))["uid"] == record["uid"]
    here("pods.delete", "lasting")
    assert json.loads(here("pods.list", "--json"))["pods"] == []


def test_what_a_detached_run_proposes_works_as_it_stands(here: Cli, tmp_path: Path) -> None:
    manifest, flag = written(tmp_path / "p.json", pod("lasting", "sh", "-c", "echo started; sleep 600")), here.inventory
    here.inventory = tmp_path / "another.yaml"  # is not read: the flag wins
    here("run", manifest, "--detach", "--inventory", str(flag))
    found = re.search(r"goes on; log: interlink (.*), remove: interlink (.*)", here.err)
    assert found, here.err
    log, remove = map(shlex.split, found.groups())
    wait_for(lambda: "started" in here(*log))
    here(*remove)
    assert json.loads(here("pods.list", "--json", "--inventory", str(flag)))["pods"] == []


def test_kept_pods_stay_until_they_are_deleted(here: Cli, tmp_path: Path) -> None:
    manifest = written(tmp_path / "p.json", pod("kept", "sh", "-c", "echo was here"))
    here("run", manifest, "--keep")
    assert here("pods.logs", "kept") == "was here\n"
    here("pods.delete", "kept")


def test_several_runs_at_once_share_the_state(here: Cli, tmp_path: Path) -> None:
    runs = [
        here.start("run", written(tmp_path / f"{n}.json", pod(f"p{n}", "sh", "-c", f"sleep 1; echo {n}; exit {n}")))
        for n in range(4)
    ]
    said = [process.communicate(timeout=240) for process in runs]
    for n, (process, (out, err)) in enumerate(zip(runs, said, strict=True)):
        assert (process.returncode, out) == (n, f"c | {n}\n"), err


SPEC = "kind: Pod\nmetadata: {name: a}\nspec: "
MISTAKES = {
    "no file": ("missing.yaml", r"missing.yaml: cannot be read: No such file"),
    "no YAML": ("kind: [", r"p.yaml:\d+: not valid YAML"),
    "no pod": ("kind: ConfigMap\nmetadata: {name: c}", r"the manifest holds no Pod"),
    "unknown kind": ("kind: Deployment\nmetadata: {name: d}", r"Deployment is not supported; .*pod template as a Pod"),
    "twice": (
        "kind: Pod\nmetadata: {name: a}\nspec: {}\n---\nkind: Pod\nmetadata: {name: a}\nspec: {}",
        r"document 2: Pod 'a' is in document 1",
    ),
    "no containers": ("kind: Pod\nmetadata: {name: a}\nspec: {}", r"spec.containers"),
    "missing reference": (
        SPEC + "{containers: [{name: c, image: i, command: [x], envFrom: [{configMapRef: {name: nope}}]}]}",
        r'configmap "nope" not found',
    ),
    "unsupported": (
        SPEC + "{volumes: [{name: v, nfs: {server: s, path: /}}], containers: [{name: c, image: i, command: [x]}]}",
        r"spec.volumes\[0\].nfs",
    ),
}


@pytest.mark.parametrize(("text", "said"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_code_2(
    text: str,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    manifest = tmp_path / "p.yaml"
    if text != "missing.yaml":
        manifest.write_text(text)
    inventory = written(tmp_path / "i.json", {"all": {"hosts": {"h1": HERE}}})
    monkeypatch.setenv("INTERLINK_STATE", str(tmp_path / "state"))
    argv = ["interlink", "run", str(manifest if text != "missing.yaml" else tmp_path / text), "-i", inventory]
    monkeypatch.setattr(sys, "argv", argv)
    with pytest.raises(SystemExit) as stop:
        cli.main()
    err = capsys.readouterr().err
    assert stop.value.code == 2
    assert re.search(said, err), err
    assert len(err.splitlines()) == 1, err


def test_what_does_not_start_ends_with_2_after_the_wait(on_host: Callable[..., Cli], tmp_path: Path) -> None:
    away = on_host({"ansible_host": "127.0.0.1", "ansible_port": 1, "interlink_driver": "docker"})
    manifest = written(tmp_path / "p.json", pod("p", "true"))
    away("run", manifest, "--wait-start", "5", code=2)
    assert re.search(r"not started after 5 s: .*h1.*refused", away.err), away.err


@pytest.mark.lab
def test_an_image_that_is_not_there_ends_with_2(on_docker: Cli, tmp_path: Path) -> None:
    broken = pod("p", "true")
    broken["spec"]["containers"][0]["image"] = "nowhere.invalid/none:1"
    on_docker("run", written(tmp_path / "p.json", broken), "--wait-start", "30", code=2)
    assert "ErrImagePull" in on_docker.err
    assert on_docker("pods.list").count("\n") == 1


def wait_for(true: Callable[[], Any], seconds: float = 240) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)
