"""A pod compiled for the runtime enroot: its image made ready, its start, and what the image's shell reads.

No package has enroot, so that a stand-in writes down how it is called; images are as enroot 4.1 makes them.
"""

from __future__ import annotations

import base64
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from interlink.bundle import job
from interlink.bundle.site import Site
from interlink.errors import Unsupported
from interlink.model.pod import PodRequest
from tests.unit.bundle import standin
from tests.unit.bundle.standin import flags, pod

RC = """\
# enroot-provenance: docker://registry-1.docker.io#library/busybox:1.36

mkdir -p "/srv/a b" 2> /dev/null
cd "/srv/a b" && unset OLDPWD || exit 1

if [ -s /etc/rc.local.none ]; then
    . /etc/rc.local.none
fi

if [ $# -gt 0 ]; then
    exec 'printf' '%s,' 'entry' "$@"
else
    exec 'printf' '%s,' 'entry' 'cmd'
fi
"""
# What of squashfs-tools is used: `unsquashfs -no-xattrs -d DIRECTORY IMAGE FILE` takes the file out of the image.
UNSQUASHFS = '#!/bin/sh\n[ -s "$4" ] || exit 1\nmkdir -p "$3/etc" && cp "$4" "$3/etc/rc"\n'
IMPORT = (
    '#!/bin/sh\nprintf "%s\\0" "$@" >argv\ncat "$ENROOT_CONFIG_PATH/.credentials" >netrc 2>/dev/null\ncp "$RC" "$3"\n'
)


def bundle_of(path: Path, request: PodRequest, **site: Any) -> standin.Bundle:
    """Return a bundle whose image is ready."""
    made = standin.Bundle(path, request, "enroot", {"path": "/cache/x.sqsh", "workdir": "/srv", "rc": RC}, **site)
    (made.path / "scratch").mkdir()
    return made


def said(bundle: standin.Bundle, *arguments: str, **environ: str) -> tuple[int, str]:
    """Run what the image's shell reads, with the box where it is on the host; return its exit code and output."""
    box = bundle.path / "box/main"
    script = bundle.path / "start/main.inside"
    script.write_text(script.read_text().replace("/.interlink", str(box)))
    env = {"PATH": os.environ["PATH"], "TERM": "", **environ}
    done = subprocess.run(
        ["sh", str(script), *arguments], env=env, cwd="/", capture_output=True, text=True, check=False
    )
    assert (box / "stands").exists()
    return done.returncode, done.stdout


def test_a_container_is_started_from_its_image(tmp_path: Path) -> None:
    container = {
        "command": ["a b"],
        "args": ["c"],
        "volumeMounts": [{"name": "d", "mountPath": "/d", "readOnly": True}],
    }
    bundle = bundle_of(tmp_path, pod(container, volumes=[{"name": "d", "emptyDir": {}}]), options=("--root",))
    argv = bundle.started(TERM="xterm")
    assert argv[0] == "start"
    assert "--root" in argv
    assert "--rw" in argv
    assert argv[argv.index("--") :] == ["--", "/cache/x.sqsh", "a b", "c"]
    [rc] = flags(argv, "--rc")
    assert rc == f"{bundle.path}/start/main.inside"
    options = "none:x-create=auto,rbind,rprivate,nosuid,nodev"
    mounts = flags(argv, "--mount")
    assert f"{bundle.path}/volumes/d:/d:{options},ro" in mounts
    assert f"{bundle.path}/box/main/hosts:/etc/hosts:{options},rw" in mounts
    assert f"{bundle.path}/box/main:/.interlink:{options},rw" in mounts
    assert flags(argv, "--env") == ["NVIDIA_VISIBLE_DEVICES=void"], "an image's own wish for devices is not heard"
    assert "ENROOT_LOGIN_SHELL=no" in bundle.environ
    assert not [item for item in bundle.environ if item.startswith("TERM=")]


def test_a_sealed_root_and_devices(tmp_path: Path) -> None:
    more = {"securityContext": {"readOnlyRootFilesystem": True}, "resources": {"limits": {"nvidia.com/gpu": "1"}}}
    argv = bundle_of(tmp_path, pod(more), resources=frozenset({"nvidia.com/gpu"})).started(IL_GPUS="2")
    assert "--rw" not in argv
    assert flags(argv, "--env") == ["NVIDIA_VISIBLE_DEVICES=2", "NVIDIA_DRIVER_CAPABILITIES=compute,utility"]


def test_values_are_told_to_the_images_shell_alone(tmp_path: Path) -> None:
    env = [{"name": "A", "value": "two\n's3cret'"}, {"name": "IP", "value": "$(A)"}]
    bundle = bundle_of(tmp_path, pod({"command": ["sh", "-c", 'printf "%s|" "$A" "$HOME" "$PWD"'], "env": env}))
    argv = bundle.started()
    assert not [word for word in (*argv, *bundle.environ) if "s3cret" in word]
    os.makedirs(tmp_path / "srv", exist_ok=True)
    (bundle.path / "box/main/workdir").write_text(f"{tmp_path}/srv\n")
    assert said(bundle, "sh", "-c", 'printf "%s|" "$A" "$HOME" "$(pwd)"') == (0, f"two\n's3cret'|/|{tmp_path}/srv|")


@pytest.mark.parametrize(
    ("container", "arguments", "expected"),
    [({}, (), "entry,cmd,"), ({"args": ["x", "y"]}, ("x", "y"), "entry,x,y,")],
)
def test_what_an_image_starts_by_itself(
    tmp_path: Path, container: dict[str, Any], arguments: tuple[str, ...], expected: str
) -> None:
    bundle = bundle_of(tmp_path, pod({**container, "workingDir": str(tmp_path / "made")}))
    (bundle.path / "image/main.rc").write_text(RC.replace('cd "/srv/a b"', 'cd "/" #'))
    bundle.started()
    assert said(bundle, *arguments) == (0, expected)
    assert (tmp_path / "made").is_dir()


def test_a_program_that_is_not_there_and_a_directory_that_cannot_be_entered_are_no_start(tmp_path: Path) -> None:
    bundle = bundle_of(tmp_path, pod({"command": ["nosuch"], "workingDir": "/"}))
    bundle.started()
    assert said(bundle, "nosuch")[0] == 127
    refused = bundle.path / "box/main/refused"
    assert refused.read_text() == 'exec: "nosuch": no such executable file\n'
    bundle = bundle_of(tmp_path / "other", pod({"command": ["true"], "workingDir": "/dev/null/x"}))
    bundle.started()
    assert said(bundle, "true")[0] == 126
    assert (bundle.path / "box/main/refused").read_text() == "cannot enter /dev/null/x\n"


class Images:
    """A cache, and the programs by which an image is made ready."""

    def __init__(self, path: Path, rc: str = RC) -> None:
        self.path = path
        path.mkdir(exist_ok=True)
        (path / "bin").mkdir()
        (path / "rc").write_text(rc)
        tool = path / "bin/unsquashfs"
        tool.write_text(UNSQUASHFS)
        tool.chmod(0o755)

    def ready(self, request: PodRequest) -> tuple[standin.Bundle, list[str]]:
        """Have the image of a pod ready; return its bundle, and the reason, message and image that came of it."""
        cache = {"image_cache": str(self.path / "cache"), "image_cache_bytes": 1 << 30}
        made = standin.Bundle(self.path / "bundle", request, "enroot", {}, **cache)
        made.program.write_text(IMPORT)
        env = {"PATH": f"{self.path}/bin:{os.environ['PATH']}", "HOME": "/", "RC": str(self.path / "rc")}
        subprocess.run(["sh", "image/main", "."], cwd=made.path, env=env, check=False)
        return made, (made.path / "image/main.result").read_text().rstrip("\n").split("\t")


def test_an_image_is_imported_once_and_looked_at(tmp_path: Path) -> None:
    bundle, result = Images(tmp_path / "a").ready(pod({"image": "r.example.org:5000/x/y:1"}))
    assert result == ["Pulled", 'Successfully pulled image "r.example.org:5000/x/y:1"']
    argv = (bundle.path / "argv").read_text().split("\0")[:-1]
    assert (argv[:2], argv[3:]) == (["import", "--output"], ["--", "docker://r.example.org:5000#x/y:1"])
    assert (bundle.path / "image/main.workdir").read_text() == "/srv/a b\n"
    own = (bundle.path / "image/main.rc").read_text()
    assert "/srv" not in own
    assert "exec 'printf' '%s,' 'entry' \"$@\"" in own
    image = Path((bundle.path / "image/main.path").read_text().strip())
    assert image.read_text() == RC
    assert not (bundle.path / "netrc").read_text()


def test_an_image_that_starts_nothing_needs_a_command(tmp_path: Path) -> None:
    pulled = 'Successfully pulled image "busybox:1.36"'
    assert Images(tmp_path / "a", rc="").ready(pod())[1] == ["CreateContainerError", "no command specified", pulled]
    assert Images(tmp_path / "b", rc="").ready(pod({"command": ["x"]}))[1][0] == "Pulled"


def secret(user: str, password: str) -> dict[str, Any]:
    auth = base64.b64encode(f"{user}:{password}".encode()).decode()
    config = json.dumps({"auths": {"nvcr.io": {"auth": auth}}}).encode()
    return {
        "metadata": {"name": "s", "namespace": "n"},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(config).decode()},
    }


@pytest.mark.parametrize(
    ("password", "written"),
    [("plain\\#x", "plain\\#x"), ("$(reboot)", '"$(reboot)"'), ('a"\\', '"a\\"\\\\"')],
)
def test_a_pull_secret_is_enroots_netrc(tmp_path: Path, password: str, written: str) -> None:
    """A bare password that begins with a dollar would be run as a command (common::evalnetrc)."""
    request = pod({"image": "nvcr.io/nvidia/pytorch:25.06"}, imagePullSecrets=[{"name": "s"}])
    request = PodRequest(request.pod, secrets=(secret("$oauthtoken", password),))
    bundle, result = Images(tmp_path / "a").ready(request)
    assert result[0] == "Pulled"
    login = f"login $oauthtoken password {written}\n"
    assert (bundle.path / "netrc").read_text() == f"machine nvcr.io {login}default {login}"
    argv = (bundle.path / "argv").read_text().split("\0")
    assert argv[4] == "docker://$oauthtoken@nvcr.io#nvidia/pytorch:25.06"
    assert not [word for word in argv if password in word]


@pytest.mark.parametrize("password", ["a $(reboot)", ""])
def test_a_pull_secret_that_enroot_would_read_otherwise_is_refused(password: str) -> None:
    request = pod({"image": "nvcr.io/x:1"}, imagePullSecrets=[{"name": "s"}])
    with pytest.raises(Unsupported, match="enroot takes no user or password") as caught:
        job.compile_pod(PodRequest(request.pod, secrets=(secret("u", password),)), Site(runtime="enroot"))
    assert caught.value.field == "spec.imagePullSecrets"


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (
            pod({"volumeMounts": [{"name": "d", "mountPath": "/a b"}]}, volumes=[{"name": "d", "emptyDir": {}}]),
            "spec.containers[0].volumeMounts",
        ),
        (pod(hostname="other"), "spec.hostname"),
        (pod({"securityContext": {"runAsUser": 7}}), "spec.containers[0].securityContext.runAsUser"),
    ],
)
def test_what_enroot_cannot_do_is_refused_by_name(request_: PodRequest, field: str) -> None:
    with pytest.raises(Unsupported) as caught:
        job.compile_pod(request_, Site(runtime="enroot"))
    assert caught.value.field == field
