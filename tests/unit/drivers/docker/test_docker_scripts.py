"""What travels to a host: scripts that every shell reads, bundles without secrets in what is run."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import tarfile
from typing import Any

import pytest

from interlink.bundle import tar
from interlink.drivers.compiled import Compiled
from interlink.drivers.docker import layout, scripts
from interlink.drivers.docker.driver import DockerDriver
from interlink.drivers.docker.feed import following
from interlink.errors import EngineUnavailable, InterlinkError
from interlink.model.host import Host
from interlink.model.pod import Pod, PodRequest
from interlink.remote.connection import Connection, Result, Stream

SHELLS = {"sh": ["sh"], "dash": ["dash"], "bash": ["bash", "--posix"], "busybox": ["busybox", "sh"]}
ODD = 'it\'s $(odd) `x` "y" \\ \n%s'
SECRET = "c0nfidential"


def unpacked(archive: bytes) -> dict[str, tuple[int, str]]:
    """Return mode and text of each file."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        for member in opened:
            file = opened.extractfile(member) if member.isfile() else None
            found[member.name.rstrip("/")] = (member.mode, file.read().decode() if file else "")
    return found


def secret(name: str, key: str, text: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {key: base64.b64encode(text.encode()).decode()}}


def bundle(engine: str = "docker") -> dict[str, tuple[int, str]]:
    """A pod with most of what there is, and with odd text wherever a user can put some."""
    container = {
        "name": "main",
        "image": "busybox:1.36",
        "command": ["sh", "-c", ODD],
        "env": [{"name": "A", "value": ODD}, {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
        "volumeMounts": [
            {"name": "s", "mountPath": "/s"},
            {"name": "e", "mountPath": "/it's, here", "subPath": "a b/$c"},
            {"name": "h", "mountPath": "/h"},
        ],
    }
    spec = {
        "initContainers": [{"name": "i", "image": "busybox", "command": [ODD]}],
        "containers": [container],
        "activeDeadlineSeconds": 5,
        "imagePullSecrets": [{"name": "p"}],
        "securityContext": {"fsGroup": 7},
        "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a.example"]}],
        "volumes": [
            {"name": "s", "secret": {"secretName": "s"}},
            {"name": "e", "emptyDir": {}},
            {"name": "h", "hostPath": {"path": "/srv/it's", "type": "Directory"}},
        ],
    }
    auths = json.dumps({"auths": {"docker.io": {"username": "u", "password": SECRET}}})
    secrets = (secret("s", "k", SECRET), secret("p", ".dockerconfigjson", auths))
    host = Host("h", vars={"interlink_hostpath_allow": ("/srv",)})
    pod = Pod({"metadata": {"name": "p", "namespace": "n", "uid": "u-1"}, "spec": spec})
    entries = layout.bundle(PodRequest(pod, (), secrets, ()), host, layout.site(host, "server", engine))
    return unpacked(tar.pack(entries))


BASH = "dial.sh"  # sockets are bash's alone


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_reads_all_scripts(shell: str) -> None:
    if shutil.which(SHELLS[shell][0]) is None:
        pytest.skip(f"{shell} is not installed")
    made = {name: text for name, (_, text) in bundle().items() if name.endswith(".sh")}
    ours = {name: text for name, (_, text) in unpacked(scripts.archive()).items() if name != BASH or shell == "bash"}
    assert {"plan.sh", "c/main.sh", "c/i.sh", "c/_pause.sh"} <= set(made)
    for name, text in {**made, **ours, "prepare": scripts.text("prepare")}.items():
        done = subprocess.run([*SHELLS[shell], "-n"], input=text.encode(), capture_output=True, check=False)
        assert (done.returncode, done.stderr) == (0, b""), name


@pytest.mark.parametrize("engine", ["docker", "podman"])
def test_secrets_are_in_files_that_nothing_runs(engine: str) -> None:
    files = bundle(engine)
    spellings = (SECRET, base64.b64encode(f"u:{SECRET}".encode()).decode())
    holders = {name.partition("/")[0] for name, (_, text) in files.items() if any(word in text for word in spellings)}
    assert holders == {"env", "vol", "pull"}
    assert all(mode & 0o077 == 0 for name, (mode, text) in files.items() if text and name.startswith(("env/", "pull/")))


def test_the_same_scripts_have_the_same_version() -> None:
    assert scripts.version() == scripts.version()
    assert scripts.archive() == scripts.archive()
    assert len(scripts.version()) == 12


@pytest.mark.parametrize(
    ("root", "word"),
    [("~/.interlink", '"$HOME"/.interlink/s'), ("/srv/it's", "'/srv/it'\"'\"'s/s'"), ("~", '"$HOME"/s')],
)
def test_the_directory_is_one_word(root: str, word: str) -> None:
    assert scripts.Place(root, "s", "docker").directory == word


@pytest.mark.parametrize(("root", "server"), [("relative", "s"), ("/srv", "a/b"), ("/srv", ".."), ("~other/x", "s")])
def test_places_that_cannot_be(root: str, server: str) -> None:
    with pytest.raises(InterlinkError):
        assert scripts.Place(root, server, "docker").directory


class Answer(Connection, Stream):
    """A host that always says the same."""

    name = "h"

    def __init__(self, result: Result, *chunks: bytes) -> None:
        self._result, self._chunks = result, chunks

    def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0, limit: int = 64 << 20) -> Result:
        return self._result

    def __iter__(self):  # type: ignore[no-untyped-def]
        return iter(self._chunks)

    def result(self) -> Result:
        return self._result

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("code", "said", "kind", "part"),
    [
        (92, "Cannot connect to the Docker daemon at unix:///x", "EngineUnavailable", "Cannot connect"),
        (92, "permission denied while trying to connect", "EngineUnavailable", "usermod -aG docker ann"),
        (92, "sh: 1: docker: not found", "EngineUnavailable", "docker is not installed"),
        (92, "", "EngineUnavailable", "does not answer"),
        (91, "tar: x: Cannot write: No space left on device", "LaunchFailed", "No space left"),
        (91, "sh: write error: Disk quota exceeded", "LaunchFailed", "quota"),
        (91, "mkdir: cannot create directory: Permission denied", "CommandFailed", "Permission denied"),
        (2, "", "CommandFailed", "our script failed"),
    ],
)
def test_what_an_exit_code_means(code: int, said: str, kind: str, part: str) -> None:
    host = Host("h", vars={"ansible_user": "ann"})
    with pytest.raises(InterlinkError) as caught:
        DockerDriver(host, Answer(Result(code, b"", said.encode())), "s").prepare()
    assert type(caught.value).__name__ == kind
    assert str(caught.value).startswith("h: ") or kind == "LaunchFailed"
    assert part in str(caught.value)


def test_the_feed_is_read_over_any_division_into_chunks() -> None:
    text = b"ready\n\n- u1\nu2\t1795000000\tNormal\tPulled\tmain\tx\nu3\t1\t-\t\t\t\n"
    want = [frozenset(), frozenset({"u1"}), frozenset({"u2"}), frozenset({"u3"})]
    for size in (1, 2, 7, len(text)):
        chunks = [text[start : start + size] for start in range(0, len(text), size)]
        with following(Answer(Result(0), *chunks)) as changes:
            assert list(changes) == want


def test_a_feed_that_does_not_start_says_why() -> None:
    with pytest.raises(EngineUnavailable, match="no daemon"), following(Answer(Result(92, b"", b"no daemon"))):
        pass


def request(uid: str, image: str = "i") -> PodRequest:
    return PodRequest(Pod({"metadata": {"name": "p", "uid": uid}, "spec": {"containers": [{"image": image}]}}))


def test_what_was_compiled_is_given_to_an_equal_request_once() -> None:
    compiled: Compiled[str] = Compiled()
    compiled.put(request("u1"), "old")
    compiled.put(request("u1"), "new")
    assert compiled.take(request("u1")) == "new"
    assert compiled.take(request("u1")) is None
    compiled.put(request("u1", "other"), "theirs")
    assert compiled.take(request("u1")) is None, "the same UID, another pod"


def test_only_the_last_few_are_kept() -> None:
    compiled: Compiled[str] = Compiled()
    for number in range(1000):
        compiled.put(request(f"u{number}"), "x")
    assert compiled.take(request("u0")) is None
    assert compiled.take(request("u999")) == "x"
