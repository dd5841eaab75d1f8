"""What a driver cannot honour is refused before anything is launched, by the name of the field."""

from __future__ import annotations

from typing import Any

import pytest

from interlink import errors
from interlink.model.pod import Pod, PodRef, PodRequest
from tests.contract.support import Box, Rig

PVC = [{"name": "data", "persistentVolumeClaim": {"claimName": "c"}}]
NFS = [{"name": "data", "nfs": {"server": "s", "path": "/"}}]


@pytest.mark.needs("processes")
@pytest.mark.parametrize(
    ("spec", "more", "field"),
    [
        ({"volumes": PVC}, {}, "spec.volumes[0].persistentVolumeClaim"),
        ({"volumes": NFS}, {}, "spec.volumes[0].nfs"),
        ({"runtimeClassName": "gvisor"}, {}, "spec.runtimeClassName"),
        ({}, {"securityContext": {"privileged": True}}, "spec.containers[0].securityContext"),
        ({}, {"volumeDevices": [{"name": "x", "devicePath": "/dev/x"}]}, "spec.containers[0].volumeDevices"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_refused_by_name(rig: Rig, spec: dict[str, Any], more: dict[str, Any], field: str) -> None:
    request = rig.pod(Box(more=more), **spec)
    with pytest.raises(errors.Unsupported) as caught:
        rig.driver.create(request)
    assert (caught.value.field or "").startswith(field)
    assert rig.driver.status([PodRef.of(request.pod)]) == []


@pytest.mark.needs("processes")
@pytest.mark.lacks("care")
@pytest.mark.parametrize("field", ["livenessProbe", "lifecycle"])
def test_probes_and_hooks_are_refused_where_nobody_looks_after_a_container(rig: Rig, field: str) -> None:
    action = {"exec": {"command": ["true"]}}
    with pytest.raises(errors.Unsupported) as caught:
        rig.driver.create(rig.pod(Box(more={field: {"preStop": action} if field == "lifecycle" else action})))
    assert (caught.value.field or "").startswith(f"spec.containers[0].{field}")


@pytest.mark.needs("processes")
@pytest.mark.lacks("mounts")
def test_a_mount_is_refused_where_nothing_can_be_mounted(rig: Rig) -> None:
    more = {"volumeMounts": [{"name": "e", "mountPath": "/e"}]}
    with pytest.raises(errors.Unsupported) as caught:
        rig.driver.create(rig.pod(Box(more=more), volumes=[{"name": "e", "emptyDir": {}}]))
    assert caught.value.field == "spec.containers[0].volumeMounts[0]"


@pytest.mark.needs("processes")
@pytest.mark.lacks("images")
def test_an_images_default_command_is_refused_where_no_image_runs(rig: Rig) -> None:
    request = rig.pod(Box())
    raw = {**request.pod.raw, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
    with pytest.raises(errors.Unsupported) as caught:
        rig.driver.create(PodRequest(Pod(raw)))
    assert caught.value.field == "spec.containers[0].command"
