"""Documents of a manifest to pods with what they refer to, and mistakes in them."""

from __future__ import annotations

import base64
import itertools
from typing import Any

import pytest

from interlink.bundle import manifests
from interlink.bundle.references import MissingReference, references
from interlink.errors import InvalidPod
from interlink.model.pod import Pod, PodRequest


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "busybox", **spec.pop("container", {})}], **spec},
    }


def configmap(name: str, **metadata: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"k": name}, "immutable": True}


def resolved(*documents: Any) -> tuple[PodRequest, ...]:
    numbers = itertools.count(1)
    return manifests.requests(documents, lambda: f"0000000{next(numbers)}-aaaa-4000-8000-000000000000")


def names(request: PodRequest) -> list[str]:
    return [thing["metadata"]["name"] for thing in (*request.configmaps, *request.secrets)]


def test_each_pod_gets_a_uid_and_what_it_refers_to_and_nothing_else() -> None:
    wants = {"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "k"}}}]}
    first, second = resolved(
        pod("a", container=wants),
        None,
        configmap("one"),
        configmap("two"),
        {"kind": "Secret", "metadata": {"name": "s"}, "data": {"x": "eA=="}, "stringData": {"x": "new", "y": "ü\n"}},
        pod("b", volumes=[{"name": "v", "secret": {"secretName": "s"}}], imagePullSecrets=[{"name": "absent"}]),
    )
    assert (first.pod.uid, first.pod.name, first.pod.namespace) == (
        "00000001-aaaa-4000-8000-000000000000",
        "a",
        "default",
    )
    assert names(first) == ["one"]
    assert names(second) == ["s"]
    assert second.pod.uid.startswith("00000002")
    assert {key: base64.b64decode(value).decode() for key, value in second.secrets[0]["data"].items()} == {
        "x": "new",
        "y": "ü\n",
    }
    assert "stringData" not in second.secrets[0]


def test_namespaces_are_kept_apart() -> None:
    there = pod(container={"envFrom": [{"configMapRef": {"name": "one"}}]})
    there["metadata"]["namespace"] = "x"
    (request,) = resolved(configmap("one", namespace="x"), configmap("one"), there)
    assert request.configmaps[0]["metadata"]["namespace"] == "x"
    with pytest.raises(MissingReference):
        resolved(configmap("one"), there)


def test_lists_of_either_kind_are_opened() -> None:
    inner = {"kind": "List", "items": [configmap("one"), {"kind": "List", "items": [pod("a")]}]}
    bare = pod("b")
    del bare["kind"]
    assert [request.pod.name for request in resolved(inner, {"kind": "PodList", "items": [bare]})] == ["a", "b"]


def test_what_another_cluster_wrote_is_not_taken_over() -> None:
    exported = {**pod(), "status": {"phase": "Succeeded"}}
    exported["metadata"].update(uid="old", resourceVersion="5")
    (request,) = resolved(exported)
    assert request.pod.uid != "old"
    assert "status" not in request.pod.raw


def test_a_name_can_be_generated() -> None:
    generated = pod()
    generated["metadata"] = {"generateName": "job-"}
    assert [request.pod.name for request in resolved(generated, generated)] == ["job-00000", "job-00000"]


@pytest.mark.parametrize(
    ("documents", "said"),
    [
        ([], "holds no Pod"),
        ([configmap("one")], "holds no Pod"),
        (["text"], "document 1 is no Kubernetes object"),
        ([pod(), {"metadata": {}}], "document 2 is no Kubernetes object"),
        ([{"kind": "Job"}], "document 1: Job is not supported; a Job is a cluster's business"),
        ([{"kind": "CronJob"}], "pod template"),
        ([pod(), {"kind": "Deployment"}], "document 2: Deployment"),
        ([{"kind": "Widget"}], "document 1: Widget is not supported; a manifest may hold Pod, ConfigMap, Secret"),
        ([{"kind": "List", "items": [pod(), {"kind": "Service"}]}], "document 1, item 2: Service"),
        ([{"kind": "List", "items": {"a": 1}}], "items must be a list"),
        ([pod(), pod()], "document 2: Pod 'p' is in document 1 already"),
        ([pod(), configmap("a"), configmap("a")], "document 3: ConfigMap 'a' is in document 2 already"),
        ([{"kind": "Pod", "spec": {}}], "document 1: the Pod has no name"),
        ([{"kind": "Pod", "metadata": {"name": "x"}}], "spec: is missing"),
        ([{"kind": "Pod", "metadata": []}], "has no name"),
        ([pod(containers=5)], "spec.containers: must be a list"),
        ([pod(container={"env": [{"name": "A", "valueFrom": "x"}]})], "must be an object"),
        ([pod(), {"kind": "Secret", "metadata": {"name": "s"}, "data": {"x": "no base64!"}}], "is not base64"),
        ([pod(), {"kind": "Secret", "metadata": {"name": "s"}, "stringData": {"x": 5}}], "put it in quotes"),
        ([pod(), {"kind": "Secret", "metadata": {"name": "s"}, "stringData": []}], ""),
        ([pod(), {"kind": "Secret", "metadata": {"name": "s"}, "stringData": [1]}], "must be objects"),
    ],
    ids=str,
)
def test_mistakes_are_named(documents: list[Any], said: str) -> None:
    if not said:
        assert resolved(*documents)
        return
    with pytest.raises(InvalidPod) as caught:
        resolved(*documents)
    assert said in str(caught.value)


def test_a_missing_reference_says_what_is_missing() -> None:
    with pytest.raises(MissingReference) as caught:
        resolved(pod(volumes=[{"name": "v", "projected": {"sources": [{"secret": {"name": "gone"}}]}}]))
    assert (caught.value.kind, caught.value.name) == ("Secret", "gone")
    assert str(caught.value) == 'spec.volumes[0].projected.sources[0].secret: secret "gone" not found'


def test_all_references_are_found() -> None:
    container = {
        "name": "c",
        "image": "i",
        "envFrom": [{"configMapRef": {"name": "a", "optional": True}}, {"secretRef": {"name": "b"}}],
        "env": [
            {"name": "x", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}},
            {"name": "y", "valueFrom": {"secretKeyRef": {"name": "d", "key": "k", "optional": True}}},
            {"name": "z", "value": "plain"},
        ],
    }
    sources = [
        {"configMap": {"name": "g"}},
        {"secret": {"name": "h", "optional": True}},
        {"downwardAPI": {"items": []}},
    ]
    spec = {
        "initContainers": [container],
        "containers": [{"name": "m", "image": "i"}],
        "volumes": [
            {"name": "v", "configMap": {"name": "e"}},
            {"name": "w", "secret": {"secretName": "f"}},
            {"name": "p", "projected": {"sources": sources}},
            {"name": "n", "emptyDir": {}},
        ],
        "imagePullSecrets": [{"name": "i"}],
    }
    found = references(Pod({"spec": spec}))
    assert [(r.kind[0], r.name, r.key, r.optional) for r in found] == [
        ("C", "a", "", True),
        ("S", "b", "", False),
        ("C", "c", "k", False),
        ("S", "d", "k", True),
        ("C", "e", "", False),
        ("S", "f", "", False),
        ("C", "g", "", False),
        ("S", "h", "", True),
        ("S", "i", "", True),
    ]
    assert found[0].field == "spec.initContainers[0].envFrom[0].configMapRef"
