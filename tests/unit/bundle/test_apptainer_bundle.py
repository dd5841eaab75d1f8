"""A pod compiled for Apptainer: references, credentials, refusals, the image's settings as a shell reads them."""

from __future__ import annotations

import base64
import json
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

import interlink.bundle
from interlink.bundle import job, pulling, tar
from interlink.bundle.site import Site
from interlink.errors import Unsupported
from interlink.model.pod import Pod, PodRequest

SITE = Site(runtime="apptainer")
DIGEST = "sha256:" + "0" * 64
AWK = Path(interlink.bundle.__file__).parent / "oci.awk"


def pod(container: dict[str, Any] | None = None, **spec: Any) -> PodRequest:
    main = {"name": "main", "image": "busybox:1.36", **(container or {})}
    raw = {"metadata": {"uid": "u-1", "name": "p", "namespace": "n"}, "spec": {"containers": [main], **spec}}
    return PodRequest(Pod(raw))


def files(request: PodRequest, site: Site = SITE) -> dict[str, tar.File]:
    return {entry.path: entry for entry in job.compile_pod(request, site) if isinstance(entry, tar.File)}


@pytest.mark.parametrize(
    ("image", "prefix", "wanted"),
    [
        ("busybox", "", "docker://docker.io/library/busybox:latest"),
        ("r.example:5000/a/b:1", "", "docker://r.example:5000/a/b:1"),
        (f"a/b@{DIGEST}", "", f"docker://docker.io/a/b@{DIGEST}"),
        ("docker://ghcr.io/x/y:2", "/cvmfs/", "docker://ghcr.io/x/y:2"),
        ("oras://r.example/x:1", "", "oras://r.example/x:1"),
        ("/data/my image.sif", "/cvmfs/", "/data/my image.sif"),
        ("lib/tool:1", "/cvmfs/unpacked/", "/cvmfs/unpacked/lib/tool:1"),
        ("tool:1", "registry.example.org/", "docker://registry.example.org/tool:1"),
        ("tool:1", "docker://registry.example.org/", "docker://registry.example.org/tool:1"),
    ],
)
def test_references(image: str, prefix: str, wanted: str) -> None:
    assert pulling.reference(image, prefix) == wanted


@pytest.mark.parametrize(
    ("path", "linked"),
    [("", True), ("/dev/termination-log", True), ("/v/data/why", True), ("/tmp/why", False), ("/v/database", False)],
)
def test_the_file_for_the_message_is_a_link_where_nothing_new_can_be_mounted(path: str, linked: bool) -> None:
    container = {"terminationMessagePath": path, "volumeMounts": [{"name": "data", "mountPath": "/v/data"}]}
    found = files(pod(container, volumes=[{"name": "data", "emptyDir": {}}]))
    place = path or "/dev/termination-log"
    is_linked = f"ln -sf /.singularity.d/il/message {place} " in found["start/main.inside"].data.decode()
    is_mounted = f"target={place}" in found["start/main"].data.decode()
    assert (is_linked, is_mounted) == (linked, not linked)


def test_equal_basenames_are_different_images() -> None:
    keys = {files(pod({"image": image}))["image/main"].data for image in ("a.example/x:1", "b.example/x:1")}
    assert len(keys) == 2


def test_an_invalid_name_is_for_the_container_to_show() -> None:
    assert b"valid=''" in files(pod({"image": "no::image"}))["image/main"].data


def test_credentials_are_private_files_and_nowhere_else() -> None:
    auth = base64.b64encode(b"alice:it's s3cret:x").decode()
    data = base64.b64encode(json.dumps({"auths": {"r.example": {"auth": auth}}}).encode()).decode()
    secret = {"metadata": {"name": "s"}, "data": {".dockerconfigjson": data}, "type": "kubernetes.io/dockerconfigjson"}
    request = pod({"image": "r.example/x:1"}, imagePullSecrets=[{"name": "s"}])
    found = files(PodRequest(request.pod, secrets=(secret,)))
    credential = found.pop("pull/main/0")
    assert credential.mode == 0o600
    show = credential.data.decode() + 'printf "%s\\n" "$APPTAINER_DOCKER_USERNAME" "$SINGULARITY_DOCKER_PASSWORD"'
    assert (
        subprocess.run(["sh", "-c", show], capture_output=True, text=True, check=True).stdout
        == "alice\nit's s3cret:x\n"
    )
    assert not [path for path, file in found.items() if b"s3cret" in file.data]


@pytest.mark.parametrize(
    ("container", "spec", "field"),
    [
        ({"securityContext": {"runAsUser": 0}}, {}, "spec.containers[0].securityContext.runAsUser"),
        ({}, {"securityContext": {"fsGroup": 5}}, "spec.securityContext.fsGroup"),
        ({}, {"securityContext": {"supplementalGroups": [5]}}, "spec.securityContext.supplementalGroups"),
        (
            {"securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}},
            {},
            "spec.containers[0].securityContext.capabilities.add",
        ),
        ({"securityContext": {"privileged": True}}, {}, "spec.containers[0].securityContext.privileged"),
        ({"ports": [{"containerPort": 80, "hostPort": 8080}]}, {}, "spec.containers[0].ports[0].hostPort"),
        ({"env": [{"name": "A.B", "value": "x"}]}, {}, "spec.containers[0].env[A.B]"),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, {}, "spec.containers[0].resources.limits.nvidia.com/gpu"),
        ({}, {"dnsConfig": {"searches": ["x.example"]}}, "spec.dnsConfig.searches"),
        ({}, {"volumes": [{"name": "h", "hostPath": {"path": "/etc"}}]}, "spec.volumes[0].hostPath.path"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_an_ordinary_user_cannot_do_is_refused_by_name(
    container: dict[str, Any], spec: dict[str, Any], field: str
) -> None:
    with pytest.raises(Unsupported) as caught:
        job.compile_pod(pod(container, **spec), SITE)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "security", [{"capabilities": {"drop": ["ALL"]}}, {"runAsNonRoot": True}, {"readOnlyRootFilesystem": True}]
)
def test_what_holds_for_an_ordinary_user_anyway_is_accepted(security: dict[str, Any]) -> None:
    assert files(pod({"securityContext": security}))


def test_devices_are_asked_for_and_are_otherwise_hidden() -> None:
    site = Site(runtime="apptainer", options=("--nv", "--bind", "/x"), resources=frozenset({"nvidia.com/gpu"}))
    without, having = pod(), pod({"resources": {"limits": {"nvidia.com/gpu": "2"}}})
    assert b"--nv" not in files(without, site)["start/main"].data
    assert b"--bind /x" in files(without, site)["start/main"].data
    assert b"--nv" in files(having, site)["start/main"].data
    assert b"gpus_0=2" in files(having, site)["plan"].data


@pytest.mark.parametrize("awk", [["awk"], ["busybox", "awk"]], ids=["awk", "busybox"])
def test_the_images_settings_reach_a_shell(awk: list[str]) -> None:
    entrypoint = ["/bin/it's", "a b", "", 'q"\\$HOME`id`', "n\nl\t", "<é😀>"]
    config = {
        "Env": ["A=1'2", "B="],
        "Entrypoint": entrypoint,
        "Cmd": None,
        "WorkingDir": "/w x",
        "Labels": {"y": [1, {}]},
    }
    for text in (json.dumps(config), json.dumps(config, ensure_ascii=False, indent=1)):
        env = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}
        done = subprocess.run([*awk, "-f", str(AWK)], input=text.encode(), capture_output=True, check=True, env=env)
        show = (
            done.stdout.decode()
            + 'eval "set -- $oci_entrypoint $oci_cmd"; printf "%s\\0" "$oci_workdir" "$oci_env" "$@"'
        )
        shown = subprocess.run(["sh", "-c", show], capture_output=True, check=True).stdout.decode().split("\0")[:-1]
        assert shown[0] == "/w x"
        assert shlex.split(shown[1]) == ["A=1'2", "B="]
        assert shown[2:] == entrypoint


def test_settings_that_are_no_json_are_an_error() -> None:
    assert subprocess.run(["awk", "-f", str(AWK)], input=b'{"Cmd": [', capture_output=True, check=False).returncode == 1


def test_a_carriage_return_is_spelt_for_an_interpreter_that_drops_it() -> None:
    value = 'it\'s\r\n\ra "line"\r'
    script = files(pod({"env": [{"name": "V", "value": value}]}))["start/main.inside"].data
    assert b"\r" not in script
    lines = script[script.index(b"IL_CR=") : script.index(b"__il_found")]
    shown = subprocess.run(
        ["sh", "-c", lines.decode() + '\nprintf %s "$V${IL_CR-}"'], capture_output=True, check=True, env={}
    )
    assert shown.stdout == value.encode()
