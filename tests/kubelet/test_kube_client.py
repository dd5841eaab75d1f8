"""The API server's client against a real API server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from interlink.errors import ConfigError, ConnectionLost, DeadlineExceeded, HostUnreachable
from interlink.kubelet import paths
from interlink.kubelet.kube import ApiError, Kube, credentials, retries
from tests.kubelet.objects import Object, pod, stub_node
from tests.lab.controlplane.cluster import Cluster


def test_objects_are_made_read_changed_and_deleted(cluster: Cluster, namespace: str) -> None:
    maps = paths.path(paths.CORE, "configmaps", namespace=namespace)
    where = paths.config_map(namespace, "c")

    async def main() -> None:
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            made = await kube.create(maps, {"metadata": {"name": "c"}, "data": {"a": "1", "unicode": "ü\n"}})
            assert (await kube.get(where))["data"] == {"a": "1", "unicode": "ü\n"}
            changed = await kube.patch(where, {"data": {"a": None, "b": "2"}}, "merge")
            assert changed["data"] == {"unicode": "ü\n", "b": "2"}
            replaced = await kube.replace(where, {**changed, "data": {}})
            assert "data" not in replaced
            with pytest.raises(ApiError) as stale:
                await kube.replace(where, {**made, "data": {"late": "1"}})
            assert stale.value.conflict
            with pytest.raises(ApiError) as taken:
                await kube.create(maps, {"metadata": {"name": "c"}})
            assert taken.value.reason == "AlreadyExists"
            await kube.delete(where, {"preconditions": {"uid": made["metadata"]["uid"]}})
            with pytest.raises(ApiError) as missing:
                await kube.get(where)
            assert missing.value.missing
            assert kube.requests["GET configmaps"] == 2

    asyncio.run(main())


def test_a_status_is_patched_by_name_and_uid(cluster: Cluster, namespace: str, node_name: str) -> None:
    cluster.create("/api/v1/nodes", stub_node(node_name))
    made = cluster.create(paths.pods(namespace), pod("p", nodeName=node_name))
    where = paths.pod_status(namespace, "p")

    def status(uid: str) -> Object:
        return {"metadata": {"uid": uid}, "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}]}}

    async def main() -> None:
        async with await Kube.connect(str(cluster.service_account)) as kube:
            first = await kube.patch(where, status(made["metadata"]["uid"]))
            again = await kube.patch(where, status(made["metadata"]["uid"]))
            assert first["status"]["phase"] == "Running"
            assert first["metadata"]["resourceVersion"] == again["metadata"]["resourceVersion"]
            with pytest.raises(ApiError) as foreign:
                await kube.patch(where, status("00000000-0000-0000-0000-000000000000"))
            assert (foreign.value.status, foreign.value.reason) == (422, "Invalid")

    asyncio.run(main())


def test_an_apply_takes_what_it_lists_and_leaves_the_rest(cluster: Cluster, node_name: str) -> None:
    where = paths.node(node_name)

    def mine(**labels: str) -> Object:
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node_name, "labels": labels}}

    async def main() -> None:
        async with await Kube.connect(str(cluster.service_account)) as kube:
            await kube.create(paths.nodes(), mine(theirs="1"))
            await kube.patch(where, mine(a="1", b="1"), "apply", manager="interlink")
            last = await kube.patch(where, mine(a="2"), "apply", manager="interlink")
            labels = last["metadata"]["labels"]
            assert (labels["a"], labels["theirs"], "b" in labels) == ("2", "1", False)

    asyncio.run(main())


def test_a_refused_request_names_the_right_that_is_missing(cluster: Cluster, namespace: str) -> None:
    async def main() -> None:
        async with await Kube.connect(str(cluster.service_account)) as kube:
            with pytest.raises(ApiError, match="cannot list resource") as refused:
                await kube.get(paths.path(paths.CORE, "secrets", namespace=namespace))
            assert refused.value.status == 403

    asyncio.run(main())


def test_a_watch_tells_what_happens_and_ends_when_the_server_says_so(cluster: Cluster, namespace: str) -> None:
    where = paths.path(paths.CORE, "configmaps", namespace=namespace)

    async def main() -> list[tuple[str, str]]:
        seen = []
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            version = (await kube.get(where, limit=1))["metadata"]["resourceVersion"]
            big = {"metadata": {"name": "big"}, "data": {"x": "y" * 900_000}}  # far more than one read takes
            await kube.create(where, big)
            await kube.delete(paths.config_map(namespace, "big"))
            async with kube.watch(where, silence=60, resourceVersion=version, timeoutSeconds=2) as events:
                async for event in events:
                    assert len(event["object"]["data"]["x"]) == 900_000
                    seen.append((event["type"], event["object"]["metadata"]["name"]))
        return seen

    assert asyncio.run(main()) == [("ADDED", "big"), ("DELETED", "big")]


def test_too_many_requests_are_sent_again_later(
    cluster: Cluster, namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real 429s: a flow of this namespace's account in a priority level of one seat and without a queue."""
    token = cluster.scratch / f"{namespace}.token"
    token.write_text(cluster.token(name="default", namespace=namespace))
    kubeconfig = cluster.plane.write_kubeconfig(cluster.scratch / namespace, {"tokenFile": str(token)})
    where = paths.path("/apis/authorization.k8s.io/v1", "selfsubjectaccessreviews")
    review = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}

    async def crowd(kube: Kube, size: int) -> list[ApiError]:
        answers = await asyncio.gather(*(kube.create(where, review) for _ in range(size)), return_exceptions=True)
        errors = [answer for answer in answers if not isinstance(answer, dict)]
        assert all(isinstance(error, ApiError) and error.refused_for_now for error in errors)
        return errors  # type: ignore[return-value]

    async def main() -> None:
        async with await Kube.connect(str(kubeconfig)) as kube:
            with monkeypatch.context() as patch:
                patch.setattr(retries, "ATTEMPTS", 1)
                deadline = time.monotonic() + 60
                while not (errors := await crowd(kube, 60)):  # the server takes some time to see a new level
                    assert time.monotonic() < deadline
            assert errors[0].retry_after == 1
            before = sum(kube.requests.values())
            assert await crowd(kube, 60) == []
            assert sum(kube.requests.values()) > before + 60

    with one_seat(cluster, namespace):
        asyncio.run(main())


@contextlib.contextmanager
def one_seat(cluster: Cluster, namespace: str) -> Iterator[None]:
    """Give the requests of the namespace's default account one seat together; a second one at once is refused."""
    flows = "/apis/flowcontrol.apiserver.k8s.io/v1"
    limits = {"nominalConcurrencyShares": 0, "lendablePercent": 0, "borrowingLimitPercent": 0}
    level = {"type": "Limited", "limited": {**limits, "limitResponse": {"type": "Reject"}}}
    user = {"kind": "ServiceAccount", "serviceAccount": {"name": "default", "namespace": namespace}}
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"], "clusterScope": True}
    flow = {
        "priorityLevelConfiguration": {"name": namespace},
        "matchingPrecedence": 5,
        "rules": [{"subjects": [user], "resourceRules": [everything]}],
    }
    cluster.create(f"{flows}/prioritylevelconfigurations", {"metadata": {"name": namespace}, "spec": level})
    cluster.create(f"{flows}/flowschemas", {"metadata": {"name": namespace}, "spec": flow})
    try:
        yield
    finally:
        cluster.delete(f"{flows}/flowschemas/{namespace}")
        cluster.delete(f"{flows}/prioritylevelconfigurations/{namespace}")


def test_a_dead_or_frozen_server_is_told_apart_and_waited_for(second_cluster: Callable[..., Cluster]) -> None:
    cluster = second_cluster()
    where = paths.nodes()

    async def main() -> None:
        async with await Kube.connect(str(cluster.kubeconfig)) as kube:
            version = (await kube.get(where))["metadata"]["resourceVersion"]
            async with kube.watch(where, silence=60, resourceVersion=version) as events:
                cluster.apiserver.kill()
                with pytest.raises((ConnectionLost, StopAsyncIteration)):
                    await events.__anext__()
            with pytest.raises(HostUnreachable):
                await kube.get(where, timeout=1)
            again = asyncio.create_task(kube.create(where, stub_node("n")))  # surely not sent: may be repeated
            await asyncio.to_thread(cluster.apiserver.start)
            try:
                await again
            except HostUnreachable:  # it came up after the last repeat
                await kube.create(where, stub_node("n"))
            cluster.apiserver.pause()
            with pytest.raises(DeadlineExceeded):
                await kube.get(where, timeout=1)
            asked = asyncio.create_task(kube.get(where))
            await asyncio.sleep(1)
            cluster.apiserver.resume()
            assert [node["metadata"]["name"] for node in (await asked)["items"]] == ["n"]

    asyncio.run(main())


def test_certificates_inside_a_kubeconfig_are_left_nowhere_else(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubeconfig = json.loads(cluster.kubeconfig.read_text())
    user, server = kubeconfig["users"][0]["user"], kubeconfig["clusters"][0]["cluster"]
    for holder in (user, server):
        for name in [name for name in holder if name != "server"]:
            holder[f"{name}-data"] = base64.b64encode(Path(holder.pop(name)).read_bytes()).decode()
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(kubeconfig))
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    monkeypatch.setattr(credentials, "REFRESH_SECONDS", 0.0)

    async def main() -> None:
        async with await Kube.connect(str(path)) as kube:
            for _ in range(3):
                assert await kube.get(paths.nodes())
                assert os.listdir(temporary) == []

    asyncio.run(main())


def test_the_servers_name_and_authority_are_checked(cluster: Cluster, tmp_path: Path) -> None:
    kubeconfig = json.loads(cluster.kubeconfig.read_text())
    server = kubeconfig["clusters"][0]["cluster"]
    path = tmp_path / "kubeconfig"

    async def ask(**changes: object) -> Object:
        kubeconfig["clusters"][0]["cluster"] = {**server, **changes}
        path.write_text(json.dumps(kubeconfig))
        async with await Kube.connect(str(path)) as kube:
            return await kube.get(paths.nodes(), timeout=2)

    async def main() -> None:
        assert await ask(**{"tls-server-name": "kubernetes.default.svc"})
        with pytest.raises(HostUnreachable, match="certificate"):
            await ask(**{"tls-server-name": "elsewhere.example.org"})
        del server["certificate-authority"]
        with pytest.raises(HostUnreachable, match="certificate"):
            await ask()
        assert await ask(**{"insecure-skip-tls-verify": True})

    asyncio.run(main())


def test_a_token_that_is_replaced_in_its_file_is_taken_up(
    cluster: Cluster, namespace: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "SOONEST_SECONDS", 0.0)
    where = paths.path("/apis/authentication.k8s.io/v1", "selfsubjectreviews")
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    cluster.create(accounts, {"metadata": {"name": "rotated"}})
    token = tmp_path / "token"
    token.write_text(cluster.token(name="rotated", namespace=namespace) + "\n")
    kubeconfig = cluster.plane.write_kubeconfig(tmp_path / "kubeconfig", {"tokenFile": str(token)})

    async def works(kube: Kube) -> bool:
        try:
            await kube.create(where, {})
        except ApiError as error:
            return error.status != 401
        return True

    async def main() -> None:
        async with await Kube.connect(str(kubeconfig)) as kube:
            assert await works(kube)
            cluster.delete(f"{accounts}/rotated")
            cluster.create(accounts, {"metadata": {"name": "rotated"}})
            deadline = time.monotonic() + 100
            while await works(kube):  # the server remembers a good token for ten seconds
                assert time.monotonic() < deadline
                await asyncio.sleep(0.5)
            token.write_text(cluster.token(name="rotated", namespace=namespace))
            assert await works(kube)

    asyncio.run(main())


def test_an_exec_plugin_is_asked_again_when_its_token_ends(cluster: Cluster, tmp_path: Path) -> None:
    token, calls = tmp_path / "token", tmp_path / "calls"
    token.write_text(cluster.token())
    api = "client.authentication.k8s.io/v1"
    plugin = tmp_path / "plugin"
    plugin.write_text(
        "#!/bin/sh\n"
        f"echo call >> {calls}\n"
        f'[ -s {token} ] || {{ echo "the plugin is out of order" >&2; exit 1; }}\n'
        f'echo \'{{"apiVersion": "{api}", "kind": "ExecCredential", "status": '
        f'{{"token": "\'"$(cat {token})"\'", "expirationTimestamp": "\'"$(date -u -d +"$LIFE" +%FT%TZ)"\'"}}}}\'\n'
    )
    plugin.chmod(0o755)

    def kubeconfig(life: str) -> str:
        run = {"apiVersion": api, "command": str(plugin), "interactiveMode": "Never"}
        user = {"exec": {**run, "env": [{"name": "LIFE", "value": life}]}}
        return str(cluster.plane.write_kubeconfig(tmp_path / life, user))

    async def ask(life: str, times: int) -> int:
        calls.write_text("")
        async with await Kube.connect(kubeconfig(life)) as kube:
            for _ in range(times):
                assert await kube.get(paths.pods(), limit=1)
        return len(calls.read_text().splitlines())

    async def broken() -> None:
        async with await Kube.connect(kubeconfig("30seconds")) as kube:
            assert await kube.get(paths.pods(), limit=1)
            token.write_text("")
            assert await kube.get(paths.pods(), limit=1)  # the former token is good still

    assert asyncio.run(ask("1hour", 3)) == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(credentials, "SOONEST_SECONDS", 0.0)
        assert asyncio.run(ask("30seconds", 3)) == 4
        asyncio.run(broken())


def test_a_pod_uses_its_service_account(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text(cluster.token())
    files = "kubernetes.aio.config.incluster_config.SERVICE_{}_FILENAME"
    monkeypatch.setattr(files.format("TOKEN"), str(token))
    monkeypatch.setattr(files.format("CERT"), str(cluster.ca))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", cluster.url.rpartition(":")[2])

    async def main() -> None:
        async with await Kube.connect() as kube:
            assert await kube.get(paths.pods(), limit=1)

    asyncio.run(main())


def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        asyncio.run(Kube.connect(str(tmp_path / "nowhere")))
