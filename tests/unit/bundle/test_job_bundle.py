"""A pod compiled for the supervisor: what is in it, what is not, and that shells read it as meant."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlink.bundle import job, tar
from interlink.bundle.env import EnvVar
from interlink.bundle.process import script
from interlink.bundle.site import Site
from interlink.bundle.starting import Launch
from interlink.bundle.text import text
from interlink.errors import InvalidPod, Unsupported
from interlink.model.pod import Container, Pod, PodRequest
from interlink.model.status import Kind

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)


def pod(container: dict[str, Any] | None = None, **spec: Any) -> PodRequest:
    main = {"name": "main", "image": "x", "command": ["true"], **(container or {})}
    raw = {"metadata": {"uid": "u-1", "name": "p", "namespace": "n"}, "spec": {"containers": [main], **spec}}
    return PodRequest(Pod(raw))


def test_the_plan_is_read_by_a_shell() -> None:
    wanted = pod(restartPolicy="OnFailure", activeDeadlineSeconds=9, terminationGracePeriodSeconds=0)
    shown = 'echo "$uid $policy $grace $deadline $count $kind_0 $name_0"'
    done = subprocess.run(["sh", "-c", job.plan(wanted.pod) + shown], capture_output=True, check=True)
    assert done.stdout == b"u-1 OnFailure 0 9 1 main main\n"


def test_the_same_pod_gives_the_same_bundle() -> None:
    assert tar.pack(job.compile_pod(pod())) == tar.pack(job.compile_pod(pod()))


def test_facts_hold_no_secrets() -> None:
    entries = job.compile_pod(pod({"env": [{"name": "PW", "value": "s3cret"}], "args": ["s3cret"]}))
    files = {entry.path: entry for entry in entries if isinstance(entry, tar.File)}
    assert b"s3cret" not in files["facts"].data + files["plan"].data
    assert b"s3cret" in files["start/main"].data
    assert files["start/main"].mode == 0o600
    assert json.loads(files["facts"].data)["containers"] == [{"name": "main", "kind": "main", "image": "x"}]


@given(argv=st.lists(words, max_size=4), value=words)
@settings(max_examples=25, deadline=None)
def test_any_words_arrive_as_they_are(argv: list[str], value: str) -> None:
    show = 'printf "%s\\000" "$V" "$@"'
    container = Container({"name": "main", "command": ["sh"], "workingDir": "/"}, Kind.MAIN, "spec.containers[0]")
    whole = tuple(text(word) for word in ["sh", "-c", show, "sh", *argv])
    launch = Launch(Pod({}), container, whole, env=(EnvVar("V", text(value)),))
    given = script(launch).encode()
    done = subprocess.run(["sh"], input=given, capture_output=True, check=True, env={"PATH": "/usr/bin:/bin"})
    assert done.stdout.decode().split("\0")[:-1] == [value, *argv]


REFUSED = [
    ({"command": None}, {}, "spec.containers[0].command"),
    ({"command": ["-x"]}, {}, "spec.containers[0].command[0]"),
    ({"env": [{"name": "UID", "value": "1"}]}, {}, "spec.containers[0].env[UID]"),
    ({"env": [{"name": "a.b", "value": "1"}]}, {}, "spec.containers[0].env[a.b]"),
    ({"env": [{"name": "IL_DIR", "value": "1"}]}, {}, "spec.containers[0].env[IL_DIR]"),
    ({"env": [{"name": "BIG", "value": "x" * (128 << 10)}]}, {}, "spec.containers[0].env[BIG]"),
    ({"securityContext": {"runAsUser": 1}}, {}, "spec.containers[0].securityContext.runAsUser"),
    ({"ports": [{"containerPort": 80, "hostPort": 8080}]}, {}, "spec.containers[0].ports[0].hostPort"),
    ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, {}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
    ({"stdin": True}, {}, "spec.containers[0].stdin"),
    ({}, {"hostname": "h"}, "spec.hostname"),
    ({}, {"volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]}, "spec.volumes[0].emptyDir.medium"),
    ({}, {"volumes": [{"name": "h", "hostPath": {"path": "/tmp"}}]}, "spec.volumes[0].hostPath"),
]


@pytest.mark.parametrize(("container", "spec", "field"), REFUSED, ids=[row[2] for row in REFUSED])
def test_refused_by_name(container: dict[str, Any], spec: dict[str, Any], field: str) -> None:
    with pytest.raises(Unsupported) as caught:
        job.compile_pod(pod(container, **spec))
    assert (caught.value.field or "").startswith(field)


@pytest.mark.parametrize("name", ["../x", "a b", "", "A", "x;y"])
def test_names_that_are_no_names_never_become_paths(name: str) -> None:
    with pytest.raises(InvalidPod):
        job.compile_pod(pod({"name": name}))


def test_mounts_are_refused_unless_they_are_to_be_ignored() -> None:
    mounted = pod({"volumeMounts": [{"name": "e", "mountPath": "/e"}]}, volumes=[{"name": "e", "emptyDir": {}}])
    with pytest.raises(Unsupported):
        job.compile_pod(mounted)
    assert job.compile_pod(mounted, Site(ignore=("spec.containers.volumeMounts",)))
