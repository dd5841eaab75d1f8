"""The reflector follows a real API server through what it does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlink.kubelet import paths, reflector
from interlink.kubelet.kube import Kube
from interlink.kubelet.reflector import Reflector
from tests.kubelet.objects import Object, beside, pod, stub_node, until
from tests.lab.controlplane.cluster import Cluster


def config_map(name: str, **data: str) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def names(follower: Reflector) -> set[str]:
    return {item["metadata"]["name"] for item in follower.store}


class Kind:
    """ConfigMaps of a namespace, made and deleted by an administrator."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.path = paths.path(paths.CORE, "configmaps", namespace=namespace)

    def make(self, *given: str) -> None:
        for name in given:
            self.cluster.create(self.path, config_map(name))

    def delete(self, *given: str) -> None:
        for name in given:
            self.cluster.delete(f"{self.path}/{name}")


def test_a_nodes_pods_are_followed_with_the_floor_of_rights(cluster: Cluster, namespace: str, node_name: str) -> None:
    cluster.create("/api/v1/nodes", stub_node(node_name))
    cluster.create(paths.pods(namespace), pod("elsewhere", nodeSelector={"no": "where"}))
    mine = cluster.create(paths.pods(namespace), pod("mine", nodeName=node_name))["metadata"]["uid"]
    told: list[str] = []

    async def main() -> None:
        async with await Kube.connect(str(cluster.service_account)) as kube:
            follower = Reflector(kube, paths.pods(), told.append, fieldSelector=f"spec.nodeName={node_name}")
            async with beside(follower.run()):
                await asyncio.wait_for(follower.synced.wait(), 60)
                assert names(follower) == {"mine"}
                listed = follower.store.get(mine)
                assert listed
                assert (listed["apiVersion"], listed["kind"]) == ("v1", "Pod")
                second = cluster.create(paths.pods(namespace), pod("second", nodeName=node_name))["metadata"]["uid"]
                cluster.patch(paths.pod(namespace, "mine"), {"metadata": {"labels": {"a": "b"}}}, "merge-patch")
                cluster.delete(paths.pod(namespace, "mine"), gracePeriodSeconds=0)
                await until(lambda: names(follower) == {"second"})
                last = follower.store.gone(mine)
                assert last
                assert last["metadata"]["labels"] == {"a": "b"}
                assert told.count(second) == 1
                assert kube.requests == {"GET pods": 2}

    asyncio.run(main())


def test_a_long_list_comes_in_pages_and_once(cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reflector, "PAGE", 3)
    kind = Kind(cluster, namespace)
    kind.make(*(f"c{number}" for number in range(10)))
    told: list[str] = []

    async def main() -> None:
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            follower = Reflector(kube, kind.path, told.append)
            async with beside(follower.run()):
                await asyncio.wait_for(follower.synced.wait(), 60)
                assert names(follower) == {"kube-root-ca.crt", *(f"c{number}" for number in range(10))}
                assert len(told) == len(set(told)) == 11
                await until(lambda: kube.requests["GET configmaps"] == 5)  # four pages and the watch

    asyncio.run(main())


def test_a_watch_that_ends_goes_on_without_a_list_and_loses_nothing(cluster: Cluster, namespace: str) -> None:
    kind = Kind(cluster, namespace)
    kind.make("deleted")
    told: list[str] = []

    async def main() -> None:
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            follower = Reflector(kube, kind.path, told.append, watch_seconds=1)
            await asyncio.wait_for(follower.step(), 60)  # a list and a watch to its end
            kind.make("between")
            kind.delete("deleted")
            before = len(told)
            await asyncio.wait_for(follower.step(), 60)
            assert names(follower) == {"kube-root-ca.crt", "between"}
            assert len(told) == before + 2
            assert kube.requests["GET configmaps"] == 3

    asyncio.run(main())


def test_an_api_server_that_dies_or_freezes_is_followed_again(
    second_cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflector, "SILENCE_SECONDS", 1.0)
    monkeypatch.setattr(reflector, "AWAY_SECONDS", 2.0)
    cluster = second_cluster()
    kind = Kind(cluster, "default")
    kind.make("deleted")

    async def main() -> None:
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            follower = Reflector(kube, kind.path, lambda uid: None, watch_seconds=3)
            async with beside(follower.run()):
                await asyncio.wait_for(follower.synced.wait(), 60)
                cluster.apiserver.kill()
                await asyncio.sleep(3)  # longer than the first tries take
                await asyncio.to_thread(cluster.apiserver.start)
                await asyncio.to_thread(kind.make, "after-death")
                await asyncio.to_thread(kind.delete, "deleted")
                await until(lambda: names(follower) == {"kube-root-ca.crt", "after-death"})
                cluster.apiserver.pause()
                await asyncio.sleep(7)  # longer than a watch and its silence
                cluster.apiserver.resume()
                await asyncio.to_thread(kind.make, "after-frost")
                await until(lambda: "after-frost" in names(follower))

    asyncio.run(main())


def test_a_version_that_is_too_old_leads_to_a_new_list(
    second_cluster: Callable[..., Cluster], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Both forms of 410: an ERROR event of a watch, and the refusal of a list midway."""
    caplog.set_level(logging.WARNING)
    cluster = second_cluster(apiserver=["--feature-gates=ListFromCacheSnapshot=false"])  # pages come from etcd
    kind = Kind(cluster, "default")
    kind.make("deleted", "kept")
    told: list[str] = []

    async def main() -> None:
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            follower = Reflector(kube, kind.path, told.append, watch_seconds=2)
            await asyncio.wait_for(follower.step(), 60)
            uid = next(item["metadata"]["uid"] for item in follower.store if item["metadata"]["name"] == "deleted")
            told.clear()
            kind.delete("deleted")
            kind.make("made")
            cluster.compact()
            cluster.apiserver.restart()  # its memory of events ends too
            async with beside(follower.run()):
                await until(lambda: names(follower) == {"kube-root-ca.crt", "kept", "made"})
                assert len(told) == 2
                assert follower.store.gone(uid)
            assert "410 Expired" in caplog.text

            monkeypatch.setattr(reflector, "PAGE", 1)
            caplog.clear()
            hurt = HurtBetweenPages(kube, kind)
            follower = Reflector(hurt, kind.path, told.append)  # type: ignore[arg-type]
            async with beside(follower.run()):
                await asyncio.wait_for(follower.synced.wait(), 60)
                assert names(follower) == {"kube-root-ca.crt", "kept", "made", "midway"}
            assert "410 Expired" in caplog.text

    asyncio.run(main())


class HurtBetweenPages:
    """A Kube whose server loses its history after the first page that it gave."""

    def __init__(self, kube: Kube, kind: Kind) -> None:
        self._kube, self._kind, self._hurt = kube, kind, False
        self.watch = kube.watch

    async def get(self, path: str) -> Object:
        page = await self._kube.get(path)
        if not self._hurt:
            self._hurt = True
            self._kind.make("midway")
            self._kind.cluster.compact()
        return page


def test_a_refusal_is_met_by_waiting_longer_and_longer(cluster: Cluster, namespace: str) -> None:
    async def main() -> None:
        async with await Kube.connect(str(cluster.service_account)) as kube:
            follower = Reflector(kube, paths.path(paths.CORE, "secrets", namespace=namespace), lambda uid: None)
            async with beside(follower.run()):
                await asyncio.sleep(4)
            assert not follower.synced.is_set()
            assert 2 <= kube.requests["GET secrets"] <= 6

    asyncio.run(main())


def test_a_server_that_ends_every_watch_at_once_is_not_asked_in_a_hurry(tmp_path: Path) -> None:
    """As a proxy in between may do it; by a server of the test's own, since no real one can be made to."""
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        asked.append(line.decode())
        while await reader.readline() not in (b"\r\n", b""):
            pass
        body = (
            b"" if b"watch=true" in line else b'{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"}}'
        )
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def main() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server, await Kube.connect(str(plain_kubeconfig(tmp_path, url))) as kube:
            follower = Reflector(kube, paths.pods(), lambda uid: None)
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(follower.run(), 3)

    asyncio.run(main())
    assert sum("watch=true" not in line for line in asked) == 1
    assert 2 <= sum("watch=true" in line for line in asked) <= 5


def plain_kubeconfig(directory: Path, url: str) -> Path:
    """A kubeconfig without credentials."""
    content: dict[str, Any] = {
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "contexts": [{"name": "c", "context": {"cluster": "c"}}],
        "current-context": "c",
    }
    path = directory / "kubeconfig"
    path.write_text(json.dumps(content))
    return path
