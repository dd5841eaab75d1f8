"""Images: missing, refused, private; users that runAsNonRoot forbids. All wait, as in Kubernetes."""

from __future__ import annotations

import base64
import json

import pytest

from interlink.model.status import Phase, PodStatus, Terminated, Waiting
from tests.contract.support import Box, container, ended
from tests.docker.support import Place, host_events
from tests.lab.registry import Registry

pytestmark = pytest.mark.lab


PRESENT = ["Pulled", "Failed"]


def _waits(status: PodStatus, *reasons: str) -> bool:
    state = container(status, "main").state
    return isinstance(state, Waiting) and state.reason in reasons


@pytest.mark.parametrize(
    ("image", "more", "reasons", "told"),
    [
        ("127.0.0.1:9/no/such:1", {}, ("ErrImagePull", "ImagePullBackOff"), ["Pulling", "Failed"]),
        ("no-such:1", {"imagePullPolicy": "Never"}, ("ErrImageNeverPull",), ["ErrImageNeverPull", "Failed"]),
        ("Not Valid:1", {}, ("InvalidImageName",), ["InspectFailed", "Failed"]),
        ("busybox:1.36", {"securityContext": {"runAsNonRoot": True}}, ("CreateContainerConfigError",), PRESENT),
        ("lab/named-user:1", {"securityContext": {"runAsNonRoot": True}}, ("CreateContainerConfigError",), PRESENT),
    ],
)
def test_waiting(place: Place, image: str, more: dict[str, object], reasons: tuple[str, ...], told: list[str]) -> None:
    with place.rig.run(Box("true", more={"image": image, **more}), Box("true", name="fine")) as run:
        status = run.until(lambda s: _waits(s, *reasons), " or ".join(reasons))
        assert status.phase is Phase.PENDING
        status = run.until(lambda s: isinstance(container(s, "fine").state, Terminated), "the other goes on")
        assert ended(status, "fine").exit_code == 0
        assert [reason for reason, name, _ in host_events(run) if name == "main"][: len(told)] == told


def test_a_numeric_user_of_the_image_is_not_root(place: Place) -> None:
    box = Box("id -u", more={"image": "lab/show:1", "securityContext": {"runAsNonRoot": True}})
    with place.rig.run(box) as run:
        assert run.ended().phase is Phase.SUCCEEDED
        assert run.log() == b"1000\n"


def test_image_of_a_private_registry(place: Place, private_registry: Registry) -> None:
    image = f"{private_registry.address}/lab/busybox:1"
    config = base64.b64encode(json.dumps(private_registry.docker_config).encode()).decode()
    secret = {"metadata": {"name": "pull"}, "data": {".dockerconfigjson": config}}
    box = Box("echo pulled", more={"image": image, "imagePullPolicy": "Always"})
    with place.rig.run(box) as refused:
        refused.until(lambda s: _waits(s, "ErrImagePull", "ImagePullBackOff"), "the registry refuses us")
    with place.rig.run(box, imagePullSecrets=[{"name": "pull"}], secrets=[secret]) as run:
        assert run.ended().phase is Phase.SUCCEEDED
        assert run.log() == b"pulled\n"


def test_two_secrets_for_one_registry(place: Place, private_registry: Registry) -> None:
    """The wrong one first: the other is tried too, and neither stays on the host's account."""
    image = f"{private_registry.address}/lab/busybox:1"
    wrong = base64.b64encode(b"alice:no longer").decode()
    configs = {"old": {"auths": {private_registry.address: {"auth": wrong}}}, "new": private_registry.docker_config}
    secrets = [
        {"metadata": {"name": name}, "data": {".dockerconfigjson": base64.b64encode(json.dumps(c).encode()).decode()}}
        for name, c in configs.items()
    ]
    box = Box("echo pulled", more={"image": image, "imagePullPolicy": "Always"})
    names = [{"name": name} for name in configs]
    for order in (names, names[::-1]):
        with place.rig.run(box, imagePullSecrets=order, secrets=secrets) as run:
            assert run.ended().phase is Phase.SUCCEEDED


def test_missing_image_comes_later(place: Place, registry: Registry) -> None:
    image = f"{registry.address}/lab/busybox:1"
    with place.rig.run(Box("echo here", more={"image": image, "imagePullPolicy": "Always"})) as run:
        assert run.ended().phase is Phase.SUCCEEDED
