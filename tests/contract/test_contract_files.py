"""configMap, secret, projected, downwardAPI and emptyDir volumes: bytes, modes, updates."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from interlink import errors
from interlink.model.driver import VolumeFile
from interlink.model.pod import PodRef
from tests.contract.support import FOREVER, Box, Rig, wait

pytestmark = pytest.mark.needs("processes", "volumes")

TEXTS = {
    "plain": "one line\n", "no-newline": "x", "empty": "", "literal": '{"a":"b\\n"}', "crlf": "a\r\nb\r\n",
    "utf8": "ünï☃", "dotted.key": "d", "big": "0123456789abcdef" * 32768,
}  # fmt: skip
BYTES = {"nul": bytes(range(256)), "image.png": b"\x89PNG\r\n\x1a\n\0\0"}


def configmap(name: str, data: dict[str, str] | None = None, binary: dict[str, bytes] | None = None) -> dict[str, Any]:
    encoded = {key: base64.b64encode(value).decode() for key, value in (binary or {}).items()}
    return {"metadata": {"name": name}, "data": data or {}, "binaryData": encoded}


def secret(name: str, data: dict[str, bytes]) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": {k: base64.b64encode(v).decode() for k, v in data.items()}}


def hashes(log: bytes) -> dict[str, str]:
    return {line.split()[1]: line.split()[0] for line in log.decode().splitlines()}


def test_configmap_bytes(rig: Rig) -> None:
    import hashlib

    box = Box(f"cd {rig.path('cm')} && sha256sum *", volumes=["cm"])
    volumes = [{"name": "cm", "configMap": {"name": "cm"}}]
    with rig.run(box, volumes=volumes, configmaps=[configmap("cm", TEXTS, BYTES)]) as run:
        run.ended()
        want = {**{k: v.encode() for k, v in TEXTS.items()}, **BYTES}
        assert hashes(run.log()) == {name: hashlib.sha256(data).hexdigest() for name, data in want.items()}


def test_items_paths_and_modes(rig: Rig) -> None:
    items = [{"key": "a", "path": "deep/er/a", "mode": 0o751}, {"key": "b", "path": "b"}]
    volumes = [{"name": "cm", "configMap": {"name": "cm", "items": items, "defaultMode": 0o640}}]
    box = Box(f"cd {rig.path('cm')} && stat -L -c '%a %n' deep/er/a b && ls", volumes=["cm"])
    with rig.run(box, volumes=volumes, configmaps=[configmap("cm", {"a": "1", "b": "2", "c": "3"})]) as run:
        run.ended()
        assert run.log() == b"751 deep/er/a\n640 b\nb\ndeep\n"


def test_secret_bytes_and_mode(rig: Rig) -> None:
    volumes = [{"name": "s", "secret": {"secretName": "s", "defaultMode": 0o400}}]
    box = Box(f"cd {rig.path('s')} && cat key && stat -L -c %a key", volumes=["s"])
    with rig.run(box, volumes=volumes, secrets=[secret("s", {"key": b"s3\0cret\n"})]) as run:
        run.ended()
        assert run.log() == b"s3\0cret\n400\n"


def test_the_layout_is_the_kubelets(rig: Rig) -> None:
    volumes = [{"name": "cm", "configMap": {"name": "cm"}}]
    box = Box(f"cd {rig.path('cm')} && readlink k && [ -L ..data ] && ls", volumes=["cm"])
    with rig.run(box, volumes=volumes, configmaps=[configmap("cm", {"k": "v"})]) as run:
        run.ended()
        assert run.log() == b"..data/k\nk\n"


def test_optional_missing_is_an_empty_directory(rig: Rig) -> None:
    volumes = [{"name": "cm", "configMap": {"name": "none", "optional": True}}]
    with rig.run(Box(f"ls {rig.path('cm')}; echo $?", volumes=["cm"]), volumes=volumes) as run:
        run.ended()
        assert run.log() == b"0\n"


def test_required_missing_is_an_error(rig: Rig) -> None:
    volumes = [{"name": "cm", "configMap": {"name": "none"}}]
    with pytest.raises(errors.InvalidPod) as caught:
        rig.driver.create(rig.pod(Box("true", volumes=["cm"]), volumes=volumes))
    assert "none" in str(caught.value)


def test_projected_and_downward(rig: Rig) -> None:
    sources = [
        {"configMap": {"name": "cm", "items": [{"key": "k", "path": "from-cm"}]}},
        {"secret": {"name": "s"}},
        {"downwardAPI": {"items": [{"path": "ns", "fieldRef": {"fieldPath": "metadata.namespace"}}]}},
        {"serviceAccountToken": {"path": "token"}},
    ]
    volumes = [{"name": "p", "projected": {"sources": sources}}]
    box = Box(f"cd {rig.path('p')} && cat from-cm key ns token", volumes=["p"])
    projected = [{"metadata": {"name": "p"}, "data": {"token": "T0KEN"}}]
    given = {"configmaps": [configmap("cm", {"k": "1 "})], "secrets": [secret("s", {"key": b"2 "})]}
    with rig.run(box, volumes=volumes, projected=projected, **given) as run:
        run.ended()
        assert run.log() == b"1 2 contractT0KEN"


def test_emptydir_is_shared_and_anybody_may_write(rig: Rig) -> None:
    path = rig.path("e")
    init = Box(f"echo from init > {path}/x; stat -c %a {path}", name="init", volumes=["e"])
    box = Box(f"cat {path}/x", volumes=["e"])
    with rig.run(box, inits=[init], volumes=[{"name": "e", "emptyDir": {}}]) as run:
        run.ended()
        assert run.log() == b"from init\n"
        assert run.log("init") == b"777\n"


def test_one_volume_in_two_containers(rig: Rig) -> None:
    boxes = [Box(f"cat {rig.path('cm')}/k", name=name, volumes=["cm"]) for name in ("a", "b")]
    volumes = [{"name": "cm", "configMap": {"name": "cm"}}]
    with rig.run(*boxes, volumes=volumes, configmaps=[configmap("cm", {"k": "v"})]) as run:
        run.ended()
        assert (run.log("a"), run.log("b")) == (b"v", b"v")


def test_update_reaches_a_live_pod(rig: Rig) -> None:
    path = rig.path("cm")
    swapped = f"[ -e {path}/new ] && [ ! -L {path}/old ]"  # names come, and then go, after the swap
    script = f"cat {path}/k; until {swapped}; do sleep 0.1; done; cat {path}/k {path}/new; ls {path}"
    volumes = [{"name": "cm", "configMap": {"name": "cm"}}]
    with rig.run(
        Box(script, volumes=["cm"]), volumes=volumes, configmaps=[configmap("cm", {"k": "1\n", "old": ""})]
    ) as run:
        run.logged(b"1\n")
        files = [VolumeFile("k", 0o644, b"2\n"), VolumeFile("new", 0o600, b"n\n")]
        rig.driver.update(run.ref, {"cm": files})
        run.ended()
        assert run.log() == b"1\n2\nn\nk\nnew\n"


def test_updates_are_atomic(rig: Rig) -> None:
    """Both files always come from one version: a reader that resolves `..data` once sees a pair."""
    path = rig.path("cm")
    pair = f"d=$(readlink {path}/..data) && a=$(cat {path}/$d/a) && b=$(cat {path}/$d/b) && echo $a $b"
    script = f"while :; do {pair}; done 2>/dev/null"
    volumes = [{"name": "cm", "configMap": {"name": "cm"}}]
    data = configmap("cm", {"a": "0", "b": "0"})
    with rig.run(Box(script, volumes=["cm"]), volumes=volumes, configmaps=[data]) as run:
        run.logged(b"0 0\n")
        for n in range(1, 6):
            text = str(n).encode()
            rig.driver.update(run.ref, {"cm": [VolumeFile("a", 0o644, text), VolumeFile("b", 0o644, text)]})
        run.logged(b"5 5\n")
        assert all(len(set(line.split())) == 1 for line in run.log().splitlines()[:-1])


def test_update_of_what_is_not_there(rig: Rig) -> None:
    with pytest.raises(errors.InterlinkError):
        rig.driver.update(PodRef("no-such-pod"), {"cm": []})
    with rig.run(Box("sleep 300", **FOREVER)) as run, pytest.raises(errors.InterlinkError):
        rig.driver.update(run.ref, {"no-such-volume": []})


def test_secrets_are_in_nobodys_arguments(rig: Rig) -> None:
    word = "c0nfidential"
    more = {"env": [{"name": "PW", "valueFrom": {"secretKeyRef": {"name": "s", "key": "pw"}}}]}
    with rig.run(
        Box('[ -n "$PW" ] && echo up; sleep 300', more=more), secrets=[secret("s", {"pw": word.encode()})]
    ) as run:
        run.logged(b"up")
        found = wait(lambda: [line for line in _arguments() if b"sleep" in line], "arguments are readable")
        assert found
        assert not [line for line in _arguments() if word.encode() in line]


def _arguments() -> list[bytes]:
    from pathlib import Path

    lines = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines.append(file.read_bytes())
        except OSError:
            continue
    return lines
