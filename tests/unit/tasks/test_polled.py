"""A run on a server that has only the contract: what it is sent, and what is made of its answers."""

from __future__ import annotations

import threading
from collections.abc import Collection
from typing import Any

import pytest

from interlink.errors import InvalidPod, NotFound
from interlink.model.driver import Created
from interlink.model.pod import Pod, PodRef, PodRequest
from interlink.model.status import Phase, PodStatus
from interlink.tasks.running import polled
from interlink.tasks.running.polled import Polled, resolved


def request(**spec: Any) -> PodRequest:
    raw = {"metadata": {"uid": "u", "name": "p", "namespace": "n"}, "spec": {"containers": [{"name": "c"}], **spec}}
    settings = {"metadata": {"name": "s"}, "data": {"A": "a", "B": "$(x)"}}
    return PodRequest(Pod(raw), configmaps=(settings,))


class Server:
    """A peer of the contract with one pod."""

    def __init__(self) -> None:
        self.created: list[PodRequest] = []
        self.deleted: list[str] = []
        self.phase: Phase | None = Phase.PENDING

    def create(self, sent: PodRequest) -> Created:
        self.created.append(sent)
        return Created(sent.pod.uid, "j1", "new")

    def delete(self, pod: PodRef, grace: int | None = None) -> None:
        self.deleted.append(pod.uid)

    def status(self, pods: Collection[PodRef]) -> list[PodStatus]:
        assert [pod.raw["metadata"]["name"] for pod in pods] == ["p"] * len(pods), "the contract wants whole pods"
        return [PodStatus(pod.uid, "n", "p", "", self.phase) for pod in pods if self.phase is not None]


def test_variables_are_sent_with_their_values() -> None:
    env = [
        {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "BOTH", "value": "$(NAME) at $(IP), $$(A)"},
    ]
    init = {"name": "i", "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "s", "key": "A"}}}]}
    main = {"name": "c", "env": env, "envFrom": [{"configMapRef": {"name": "s"}}], "args": ["$(NAME)"]}
    sent = resolved(request(containers=[main], initContainers=[init]))
    assert sent.resolved
    assert sent.pod.spec["initContainers"] == [{"name": "i", "env": [{"name": "A", "value": "a"}]}]
    [container] = sent.pod.spec["containers"]
    values = {item["name"]: item["value"] for item in container["env"]}
    assert values == {"A": "a", "B": "$(x)", "NAME": "p", "IP": "127.0.0.1", "BOTH": "p at 127.0.0.1, $(A)"}
    assert container["args"] == ["$(NAME)"], "the receiver's to expand"
    assert "envFrom" not in container


@pytest.mark.parametrize("kind", ["projected", "downwardAPI"])
def test_files_that_a_kubelet_makes_are_refused_by_name(kind: str) -> None:
    with pytest.raises(InvalidPod) as caught:
        resolved(request(volumes=[{"name": "e", "emptyDir": {}}, {"name": "v", kind: {}}]))
    assert caught.value.field == f"spec.volumes[1].{kind}"


def test_the_runs_own_pods_are_told_as_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polled, "POLL_SECONDS", 0.01)
    server = Server()
    run = Polled(server, "http://there")  # type: ignore[arg-type]
    run.accept(request())
    feed = run.watch()
    changes = iter(feed)
    first = next(changes).object
    assert (first.uid, first.host, first.status.jid, first.gone) == ("u", "http://there", "j1", False)
    threading.Timer(0.05, setattr, [server, "phase", Phase.RUNNING]).start()
    assert next(changes).object.status.phase is Phase.RUNNING
    feed.close()
    assert list(changes) == []


def test_an_accepted_delete_is_the_end() -> None:
    server = Server()
    run = Polled(server, "http://there")  # type: ignore[arg-type]
    run.accept(request())
    run.delete(PodRef.of(request().pod))
    assert server.deleted == ["u"]
    assert run.pod("u").gone, "its old status may be repeated for ever"
    server.phase = None
    with pytest.raises(NotFound):
        run.pod("u")
