"""The kubelet's server over TLS, with an authority of the test's own and a scripted backend."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlink.errors import ConnectionLost, HostUnreachable, NotFound, Unsupported
from interlink.kubelet.endpoints import About
from interlink.model.usage import ContainerUsage, NodeUsage, PodUsage
from tests.unit.kubelet.serverkit import Api, Authority, Backend, client, record, serving

LOG = "/containerLogs/ns/web/c"
TOKENS = {"t": {"username": "u", "groups": ["g"]}}
AT = datetime(2026, 6, 1, tzinfo=timezone.utc)


def run(work: Coroutine[Any, Any, None]) -> None:
    async def main() -> None:
        await work
        await asyncio.sleep(0.05)  # TLS connections close with a farewell

    asyncio.run(main())


async def answer(port: int, path: str, *, method: str = "GET", **who: Any) -> tuple[int, str]:
    async with client(port, **who) as session, session.request(method, path) as response:
        return response.status, await response.text()


def test_callers_are_let_in_by_certificate_or_token_and_by_nothing_else(tmp_path: Path) -> None:
    async def main() -> None:
        ours, other = Authority(), Authority("other CA")
        good = ours.client(tmp_path / "good", "alice", "devs")
        wrong = other.client(tmp_path / "wrong", "eve", "system:masters")
        api = Api(ours.pem, TOKENS)
        async with serving(tmp_path, api, Backend()) as server:
            assert await answer(server.port, "/healthz", pem=good) == (200, "ok")
            assert await answer(server.port, "/healthz", token="t") == (200, "ok")
            assert await answer(server.port, "/healthz") == (401, "Unauthorized")
            assert await answer(server.port, "/healthz", token="x") == (401, "Unauthorized")
            assert await answer(server.port, "/nosuch") == (401, "Unauthorized")
            with pytest.raises(aiohttp.ClientError):
                await answer(server.port, "/healthz", pem=wrong, token="t")
        users = {spec["user"]: spec["groups"] for kind, spec in api.asked if kind == "SubjectAccessReview"}
        assert users == {"alice": ["devs", "system:authenticated"], "u": ["g", "system:authenticated"]}

    run(main())


def test_a_new_authority_is_in_force_with_the_next_connection(tmp_path: Path) -> None:
    async def main() -> None:
        old, new = Authority("old"), Authority("new")
        before, after = old.client(tmp_path / "before", "a"), new.client(tmp_path / "after", "b")
        api = Api(old.pem)
        async with serving(tmp_path, api, Backend()) as server:
            assert (await answer(server.port, "/healthz", pem=before))[0] == 200
            api.authority = new.pem
            await server._callers.read_authority()
            assert (await answer(server.port, "/healthz", pem=after))[0] == 200
            with pytest.raises(aiohttp.ClientError):
                await answer(server.port, "/healthz", pem=before)

    run(main())


def test_an_authority_that_is_no_certificate_lets_nobody_new_in(tmp_path: Path) -> None:
    async def main() -> None:
        ours = Authority()
        api = Api(ours.pem)
        async with serving(tmp_path, api, Backend()) as server:
            api.authority = "rubbish"
            await server._callers.read_authority()
            good = ours.client(tmp_path / "good", "alice")
            assert (await answer(server.port, "/healthz", pem=good))[0] == 200  # the old one is kept

    run(main())


def test_rights_are_asked_for_and_whatever_fails_refuses(tmp_path: Path) -> None:
    async def main() -> None:
        api = Api(tokens=TOKENS)
        api.allowed = lambda spec: spec["resourceAttributes"]["verb"] == "get"
        async with serving(tmp_path, api, Backend()) as server:
            assert (await answer(server.port, "/pods", token="t"))[0] == 200
            status, text = await answer(server.port, "/exec/ns/web/c?command=sh", token="t")
            assert (status, text) == (
                403, "Forbidden (user=u, verb=create, resource=nodes, subresource(s)=['proxy'])"
            )  # fmt: skip
            api.down = True
            assert (await answer(server.port, "/stats/summary", token="t"))[0] == 500
            assert (await answer(server.port, "/stats/summary", token="fresh"))[0] == 401

    run(main())


@pytest.mark.parametrize("path", ["/exec/ns/web/c", "/attach/ns/web/c", "/portForward/ns/web", "/run/ns/web/c"])
def test_streams_say_that_they_are_not_supported(tmp_path: Path, path: str) -> None:
    async def main() -> None:
        async with serving(tmp_path, Api(tokens=TOKENS), Backend()) as server:
            for method in ("GET", "POST"):
                status, text = await answer(server.port, path, method=method, token="t")
                assert status == 501
                assert "is not supported by this virtual node" in text

    run(main())


@pytest.mark.parametrize(
    ("path", "backend", "status", "text"),
    [
        (LOG, Backend([b"one\n", b"two\n"]), 200, "one\ntwo\n"),
        (LOG, Backend([]), 200, ""),
        ("/containerLogs/ns/nosuch/c", Backend(), 404, 'pod "nosuch" does not exist'),
        ("/containerLogs/other/web/c", Backend(), 404, 'pod "web" does not exist'),
        ("/containerLogs/ns/web/d", Backend(), 404, 'container "d" not found in pod "web"'),
        (f"{LOG}?tailLines=x", Backend(), 400, "tailLines: must be a whole number, at least 0"),
        (
            f"{LOG}?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
            Backend(),
            400,
            "sinceTime: at most one of `sinceTime` or `sinceSeconds` may be specified",
        ),
        (f"{LOG}?previous=true", Backend(), 400, 'previous terminated container "c" in pod "web" not found'),
        (LOG, Backend(records=[]), 400, 'container "c" in pod "web" is waiting to start: ContainerCreating'),
        ("/containerLogs/ns/old/c", Backend([b"kept\n"], records=[]), 200, "kept\n"),
        (LOG, Backend(error=NotFound("it has no log")), 400, "it has no log"),
        (LOG, Backend(error=Unsupported("no logs here")), 400, "no logs here"),
        (LOG, Backend(error=HostUnreachable("the host is away")), 500, "the host is away"),
        (LOG, Backend(error=ConnectionLost("it broke")), 500, "it broke"),
    ],
)
def test_logs_and_their_refusals(tmp_path: Path, path: str, backend: Backend, status: int, text: str) -> None:
    async def main() -> None:
        async with serving(tmp_path, Api(tokens=TOKENS), backend) as server:
            assert await answer(server.port, path, token="t") == (status, text)
            assert backend.open == 0

    run(main())


def test_options_reach_the_backend(tmp_path: Path) -> None:
    async def main() -> None:
        backend = Backend()
        async with serving(tmp_path, Api(tokens=TOKENS), backend) as server:
            await answer(server.port, f"{LOG}?tailLines=5&timestamps=true&limitBytes=100&sinceSeconds=9", token="t")
        (query,) = backend.queries
        assert (query.pod.uid, query.container) == ("u1", "c")
        assert (query.tail, query.timestamps, query.limit_bytes, query.since_seconds) == (5, True, 100, 9)
        assert not query.follow

    run(main())


def test_chunks_go_out_at_once_and_a_client_that_leaves_frees_everything(tmp_path: Path) -> None:
    async def main() -> None:
        backend = Backend([b"first\n"], following=True)
        api = Api(tokens=TOKENS)
        async with serving(tmp_path, api, backend) as server, client(server.port, token="t") as session:
            response = await session.get(f"{LOG}?follow=true")
            assert response.headers.get("Content-Encoding") is None
            assert await response.content.readline() == b"first\n"
            assert await response.content.readline() == b"tick\n"
            assert backend.open == 1
            response.close()
            await until(lambda: backend.open == 0)

    run(main())


def test_a_log_that_breaks_off_is_no_log_that_ends(tmp_path: Path) -> None:
    async def main() -> None:
        backend = Backend([b"first\n"], broken=ConnectionLost("the host is gone"))
        async with serving(tmp_path, Api(tokens=TOKENS), backend) as server:
            with pytest.raises(aiohttp.ClientError):
                await answer(server.port, LOG, token="t")
            assert backend.open == 0

    run(main())


def test_closing_ends_what_is_followed_and_frees_the_port(tmp_path: Path) -> None:
    async def main() -> None:
        backend = Backend([b"first\n"], following=True)
        async with serving(tmp_path, Api(tokens=TOKENS), backend) as server:
            port = server.port
            async with client(port, token="t") as session, session.get(f"{LOG}?follow=true") as response:
                await response.content.readline()
                await asyncio.wait_for(server.close(), 10)
                assert backend.open == 0
                with pytest.raises(aiohttp.ClientError):
                    await response.read()
        (await asyncio.start_server(lambda *_: None, "127.0.0.1", port)).close()

    run(main())


def test_pods_and_running_pods(tmp_path: Path) -> None:
    async def main() -> None:
        jobs = [record(), record(uid="u2", name="elsewhere", node="n2"), record(uid="u3", name="gone", node="n1")]
        async with serving(tmp_path, Api(tokens=TOKENS), Backend(records=jobs)) as server:
            pods = json.loads((await answer(server.port, "/pods", token="t"))[1])
            assert (pods["kind"], [item["metadata"]["uid"] for item in pods["items"]]) == ("PodList", ["u1", "u9"])
            running = json.loads((await answer(server.port, "/runningpods/", token="t"))[1])
            assert [item["metadata"]["uid"] for item in running["items"]] == ["u1", "u3"]
            assert running["items"][0]["spec"]["containers"][0]["image"] == "busybox:1.36"

    run(main())


def test_figures_and_their_absence(tmp_path: Path) -> None:
    async def main() -> None:
        pod = PodUsage("u1", "ns", "web", AT, (ContainerUsage("c", 1.5, 4096, AT),))
        backend = Backend(usage=NodeUsage("n1", AT, 10.0, 1 << 30, (pod,)))
        async with serving(tmp_path, Api(tokens=TOKENS), backend) as server:
            found = json.loads((await answer(server.port, "/stats/summary", token="t"))[1])
            assert found["pods"][0]["containers"][0]["cpu"]["usageCoreNanoSeconds"] == 1_500_000_000
            assert (await figures(server.port))["node_memory_working_set_bytes"] == 1 << 30
            backend.usage = None  # another server than ours: it has none
            assert await figures(server.port) == {"resource_scrape_error": 0}
            assert json.loads((await answer(server.port, "/stats/summary", token="t"))[1])["pods"] == []
            backend.error = HostUnreachable("the server is away")
            assert await figures(server.port) == {"resource_scrape_error": 1}
            assert (await answer(server.port, "/stats/summary", token="t"))[0] == 500

    async def figures(port: int) -> dict[str, float]:
        status, text = await answer(port, "/metrics/resource", token="t")
        assert status == 200
        return {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}

    run(main())


def test_what_it_says_of_itself(tmp_path: Path) -> None:
    about = About({"maxPods": 7}, {"PATCH pods/status": 3})

    async def main() -> None:
        async with serving(tmp_path, Api(tokens=TOKENS), Backend(), about=about) as server:
            config = json.loads((await answer(server.port, "/configz", token="t"))[1])["kubeletconfig"]
            assert (config["kind"], config["maxPods"]) == ("KubeletConfiguration", 7)
            text = (await answer(server.port, "/metrics", token="t"))[1]
            found = {s.name: s.value for family in text_string_to_metric_families(text) for s in family.samples}
            assert found["kubelet_running_pods"] == 1
            assert 'interlink_kubelet_api_requests_total{method="PATCH",resource="pods/status"} 3' in text
            assert found["kubelet_certificate_manager_server_ttl_seconds"] > 300 * 86400
            assert found["process_resident_memory_bytes"] > 1 << 20

    run(main())


async def until(condition: Any, seconds: float = 120) -> None:
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not condition():
        assert loop.time() < end, "not in time"
        await asyncio.sleep(0.01)
