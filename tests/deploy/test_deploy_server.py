"""The server deployed over real SSH to an account of its own: repeated, broken, repaired, upgraded, rolled back."""

from __future__ import annotations

import json
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import interlink
from tests.deploy.site import Site
from tests.deploy.test_deploy_hosts import step, told
from tests.lab import process

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1500), pytest.mark.xdist_group("deploy"), pytest.mark.minutes(15)]

PATIENT = """\
apiVersion: v1
kind: Pod
metadata: {name: patient}
spec:
  restartPolicy: Never
  containers:
    - {name: main, image: busybox, command: [sh, -c, "trap 'exit 0' TERM; echo begun; sleep 3600 & wait"]}
"""


@pytest.fixture(scope="module")
def patient(site: Site) -> Iterator[None]:
    """A pod that has to outlive everything, without being started again."""
    manifest = site.admin / "pod.yaml"
    manifest.write_text(PATIENT)
    done = site.run("run", str(manifest), *site.server, "--detach")
    assert done.returncode == 0, done.stderr
    yield
    [pod] = pods(site)
    assert (pod["name"], pod["containers"][0]["restartCount"]) == ("patient", 0), "it went on through everything"
    assert site.run("pods.delete", "patient", *site.server).returncode == 0


@pytest.fixture(scope="module")
def newer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a newer interLink: the same one, and a word more."""
    directory = tmp_path_factory.mktemp("newer")
    source = Path(interlink.__file__).parent
    shutil.copytree(source, directory / "interlink", ignore=shutil.ignore_patterns("__pycache__"))
    with (directory / "interlink/__init__.py").open("a") as file:
        file.write("# newer\n")
    return directory


def pods(site: Site) -> list[dict[str, Any]]:
    """Return the patient pod as the server lists it; other tests have pods there, too."""
    done = site.run("pods.list", "--json", *site.server)
    assert done.returncode == 0, done.stderr
    return [pod for pod in json.loads(done.stdout)["pods"] if pod["name"] == "patient"]


def test_a_dry_run_tells_and_a_first_run_installs_what_nobody_else_can_read(site: Site) -> None:
    dry, first = site.first
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "would change; all is well" in dry.stdout
    box = told(first)["box"]
    assert "a pid file" in step(box, "machine")["note"], "said aloud where there is no systemd"
    assert box["failed"] == 0
    modes = site.machine.run("find", f"{site.base}/config", "-type", "f", "-not", "-perm", "600").stdout
    assert modes == "", "configuration and secrets are 0600"
    for done in (dry, first):
        assert "PRIVATE KEY" not in done.stdout + done.stderr
    assert site.run("pods.list", *site.server[:2]).returncode != 0, "nobody without the token"


def test_a_second_run_changes_nothing(site: Site) -> None:
    pid = site.pid
    second = site("server.deploy")
    assert second.returncode == 0, second.stdout
    assert second.stdout.splitlines()[-1] == "nothing changed; all is well"
    assert site.pid == pid, "the same process"


@pytest.mark.usefixtures("patient")
def test_what_broke_is_repaired_and_nothing_else(site: Site) -> None:
    pid = site.pid
    site.machine.run("kill", "-9", str(pid))
    site.machine.run("chmod", "644", f"{site.base}/config/interlink.yaml")
    repaired = site("server.deploy", "--json")
    assert repaired.returncode == 0, repaired.stdout
    changed = [found["name"] for found in told(repaired)["box"]["steps"] if found["state"] == "changed"]
    assert changed == ["files", "running"]
    assert site.pid != pid


@pytest.mark.usefixtures("patient")
def test_a_port_that_is_taken_is_told_and_what_ran_before_runs_again(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = f"127.0.0.1:{taken.getsockname()[1]}"
        done = site("server.deploy", interlink_server_listen=listen)
    assert done.returncode == 1
    assert f"cannot listen on {listen}" in done.stdout, done.stdout
    assert "what ran before runs again" in done.stdout
    assert [pod["name"] for pod in pods(site)] == ["patient"]
    again = site("server.deploy")
    assert again.returncode == 0, again.stdout


@pytest.mark.usefixtures("patient")
def test_an_interrupted_upgrade_is_finished_by_the_next_run_and_can_be_rolled_back(site: Site, newer: Path) -> None:
    before, pid = site.release, site.pid
    releases = f"{site.base}/releases"
    upgrade = site.start("server.deploy", "-i", str(site.inventory()), package=newer)

    def halfway() -> bool:
        assert upgrade.poll() is None, upgrade.communicate()
        names = site.machine.run("ls", releases).stdout.split()
        return any(not site.there(f"{releases}/{name}/complete") for name in names)

    process.wait_until(halfway, 300, "a release that is not complete")
    upgrade.send_signal(signal.SIGINT)
    out, err = upgrade.communicate(timeout=120)
    assert upgrade.returncode == 130, out + err
    assert "Traceback" not in err
    assert (site.release, site.pid) == (before, pid), "what runs, runs on"

    finished = site("server.deploy", package=newer)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    after = site.release
    assert after != before
    assert site.there(f"{site.base}/{after}/complete")
    assert len(site.machine.run("ls", f"{site.base}/libraries").stdout.split()) == 1, "both releases share them"

    back = site("server.rollback")
    assert back.returncode == 0, back.stderr
    assert site.release == before
    status = site("server.status", "--json")
    assert status.returncode == 0, status.stdout + status.stderr
    told = json.loads(status.stdout)
    assert (told["ready"], f"releases/{told['previous']}") == (True, after)
    assert site("server.deploy").returncode == 0


@pytest.mark.usefixtures("patient")
def test_daily_life(site: Site) -> None:
    assert site("server.stop").returncode == 0
    stopped = site("server.status")
    assert (stopped.returncode, "inactive" in stopped.stdout) == (1, True)
    broken = site("doctor", *site.server)
    assert broken.returncode == 1
    assert "broken: server at http" in broken.stderr, "SSH holds, the server is the first that is broken"
    assert "interlink server.start" in broken.stderr
    there = site("doctor")
    assert "broken: server on box: interlink-server is inactive there; start it: interlink server.start" in there.stderr
    assert site("server.start").returncode == 0
    pid = site.pid
    assert site("server.start").returncode == 0
    assert site.pid == pid, "it ran already"
    assert site("server.restart").returncode == 0
    assert site.pid != pid
    assert "interLink server listens on" in site("server.logs", "--lines", "50").stdout

    sound = site("doctor", "--json")
    links = json.loads(sound.stdout)
    assert sound.returncode == 0, sound.stdout
    assert links["ok"] is True
    names = [link["name"] for link in links["links"]]
    assert names == ["SSH to worker", "SSH to box", "server on box", "ledger", "the server's hosts"]

    [node] = json.loads(site.run("nodes.list", "--json", *site.server).stdout)["nodes"]
    assert node["name"] == site.node
    [pod] = pods(site)
    shown = json.loads(site.run("pods.show", "patient", *site.server).stdout)
    assert shown["uid"] == pod["uid"]
    assert site.run("pods.logs", f"{pod['namespace']}/patient", *site.server).stdout == "begun\n"
    absent = site.run("pods.logs", "absent", *site.server)
    assert absent.returncode == 2
    assert absent.stderr.startswith("interlink: no pod 'absent'; pods: "), absent.stderr
