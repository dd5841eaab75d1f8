"""Whatever stands anywhere in a pod: it is compiled, or refused with the field's name; nothing else is raised."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlink.bundle import checks, docker, env, envfile, fields, files, images, mounts, references, text
from interlink.errors import InvalidPod
from interlink.model.pod import Pod, PodRequest

RICH: dict[str, Any] = json.loads((Path(__file__).parents[2] / "cases" / "bundle" / "rich.json").read_text())
FEATURES = checks.Features(
    supports=fields.ENGINE | {"hooks", "probes", "terminationMessagePath", "terminationMessagePolicy", "hostNetwork"},
    hostpath_roots=("/srv",),
    resources=frozenset({"nvidia.com/gpu"}),
)

NASTY = [
    *(None, True, -1, 0, 1 << 64, 0.5, "", "/", "..", "a/../b", 'a,b"c', "A B", "\0", "\ud800", "1e999", "-1", "x"),
    *("$(A)", "$(NOPE)", "metadata.name", [], {}, [None], [[]], [{}], {"a": "b"}, {"\0": 1}),
]
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of everything in a JSON value."""
    if path:
        yield path
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield from places(value[key], (*path, key))


PLACES = list(places(RICH))


def compiled(body: dict[str, Any]) -> None:
    """Do what a driver does with a request before anything is shipped."""
    request = PodRequest(Pod(body["pod"]), tuple(body["configmaps"]), tuple(body["secrets"]), tuple(body["projected"]))
    request = checks.admit(request, FEATURES)
    pod = request.pod
    references.references(pod)
    site = docker.Site("srv", message=True)
    volumes = files.volume_files(request, allocatable={"cpu": "4"})
    for listed in volumes.values():
        files.layout(listed, "..2026")
    for volume in mounts.empty_dirs(pod):
        mounts.create_volume(pod, volume, "docker", {})
    text.line(docker.pause(pod, site))
    for container in pod.containers:
        variables = env.environment(request, container, env.Facts({"cpu": "4", "memory": "1Gi"}))
        launch = docker.launch(pod, container, site, variables, volumes)
        launch.command_line("docker run").encode()
        envfile.plan(variables, field="env")
        images.pull_configs(request, container.image)
        mounts.host_paths(pod, container)
        mounts.missing(mounts.Scope(pod, volumes, variables))


def test_the_rich_pod_is_fine_as_it_is() -> None:
    compiled(RICH)


def compiled_or_refused(path: tuple[Any, ...], value: Any) -> None:
    """Put a value at a place of the rich pod; it must be fine, or refused by name."""
    body = changed(RICH, path, value)
    try:
        compiled(body)
    except InvalidPod as error:
        if error.field and str(error).encode("utf-8", "backslashreplace"):
            return
        raise


def changed(tree: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return a copy of a JSON value with another value at one place."""
    if not path:
        return value
    copied = copy.copy(tree)
    copied[path[0]] = changed(tree[path[0]], path[1:], value)
    return copied


@pytest.mark.parametrize("part", sorted({path[:3] for path in PLACES if len(path) > 2}, key=str), ids=str)
def test_every_place_with_every_nasty_value(part: tuple[Any, ...]) -> None:
    for path in PLACES:
        if path[:3] == part:
            for value in NASTY:
                compiled_or_refused(path, value)


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([path for path in PLACES if len(path) > 1]), anything)
def test_a_pod_with_anything_anywhere(path: tuple[Any, ...], value: Any) -> None:
    compiled_or_refused(path, value)
