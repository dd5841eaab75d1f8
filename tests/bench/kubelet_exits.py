"""A container's exit on its host to the pod's phase in the API, through server and kubelet, with docker.

The floor is the engine's `die` event as a process on the host itself reads it, of the same containers. All clocks
are the machine's.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import urllib3

from tests.bench import exits
from tests.bench.kubelet import FOREVER, HOST
from tests.bench.kubelet_stand import Plane, kubelet, on_node, pinned, plane
from tests.bench.measure import Row, Size, Target, quantile, wait
from tests.bench.stand import PATIENCE, Stand, docker_stand

DOCKER, MOCK = "vk-bench-docker", "vk-bench-mock"
GAP = 0.25  # seconds between the ends of two containers
LIMIT = Target("<=", 1.5, of="ours")


def rows(size: Size) -> Iterator[Row]:
    beside = {"mock1": on_node(HOST, MOCK)}
    few, many, mock = size.of(10, 2), size.pods(200, 4), size.pods(1990, 20)
    with (
        plane() as on,
        docker_stand(beside, **on_node({}, DOCKER)) as stand,
        kubelet(on, stand.directory, stand.served, DOCKER, MOCK),
    ):
        yield from _rows(on, stand, few, size.rounds(10), f"{few} docker pods")
        yield from _rows(on, stand, many, 1, f"{many} docker pods")
        crowd = _crowd(on, mock)
        yield from _rows(on, stand, few, size.rounds(10), f"{few} docker and {mock} mock pods")
        on.remove(crowd)


def _crowd(on: Plane, count: int) -> str:
    namespace = on.namespace()
    on.create(namespace, [pinned(f"m-{n}", MOCK, annotations=FOREVER, nodeName=MOCK) for n in range(count)])
    path = f"/api/v1/namespaces/{namespace}/pods?limit=1&fieldSelector=status.phase!=Running"
    wait(lambda: not on.cluster.get(path)["items"], "the mock pods run", PATIENCE, 0.3)
    return namespace


def _rows(on: Plane, stand: Stand, count: int, rounds: int, with_what: str) -> Iterator[Row]:
    ours, floor = [], []
    for _ in range(rounds):
        found = _batch(on, stand, count)
        ours += found[0]
        floor += found[1]
    what, note = f"exit to the phase in the API, {with_what}", f"{len(ours)} exits; floor: the engine's event"
    yield Row(f"{what}, p50", "s", quantile(ours, 0.5), quantile(floor, 0.5), note=note)
    yield Row(f"{what}, p99", "s", quantile(ours, 0.99), quantile(floor, 0.99), target=LIMIT, note=note)


def _batch(on: Plane, stand: Stand, count: int) -> tuple[list[float], list[float]]:
    """Kill the containers of pods one after the other; return how late the API and the engine's event were."""
    namespace = on.namespace()
    pods = f"/api/v1/namespaces/{namespace}/pods"
    on.create(namespace, [pinned(f"d-{n}", DOCKER, nodeName=DOCKER) for n in range(count)])
    waiting = f"{pods}?limit=1&fieldSelector=status.phase!=Running"
    wait(lambda: not on.cluster.get(waiting)["items"], "the docker pods run", 2 * PATIENCE, 0.3)
    uids = [item["metadata"]["uid"] for item in on.cluster.get(pods)["items"]]
    time.sleep(2)  # the last steps of their start
    with exits._events(stand) as told, _phases(on, pods) as seen:
        time.sleep(1)
        for uid in uids:
            stand.engine.run("kill", f"il-{uid}-main-0")
            time.sleep(GAP)
        wait(lambda: len(seen) == len(uids), "all have ended in the API", PATIENCE)
        wait(lambda: len(told) >= len(uids), "the engine has told of all", PATIENCE)
    ended = _finished(stand, uids)
    on.remove(namespace)
    return [seen[uid] - at for uid, at in ended.items()], [told[uid] - at for uid, at in ended.items()]


@contextmanager
def _phases(on: Plane, pods: str) -> Iterator[dict[str, float]]:
    """Note when a watch first shows each pod of a namespace as ended."""
    pair, seen = on.cluster.admin_client, dict[str, float]()
    pool = urllib3.PoolManager(
        ca_certs=str(on.cluster.ca), cert_file=str(pair.certificate), key_file=str(pair.key), retries=False
    )
    version = on.cluster.get(f"{pods}?limit=1")["metadata"]["resourceVersion"]
    path = f"{on.cluster.url}{pods}?watch=true&resourceVersion={version}"
    answer = pool.request("GET", path, preload_content=False, timeout=urllib3.Timeout(connect=30, read=PATIENCE))
    leaving = threading.Event()

    def piece() -> bytes:
        try:
            return b"" if leaving.is_set() else answer.read1()
        except urllib3.exceptions.ProtocolError:
            if not leaving.is_set():
                raise
            return b""

    def read() -> None:
        rest = b""
        while chunk := piece():
            now = time.time()
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                item = json.loads(line)["object"]
                if (item.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
                    seen.setdefault(item["metadata"]["uid"], now)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        yield seen
    finally:
        leaving.set()
        answer.shutdown()
        reader.join(10)
        answer.close()
        pool.clear()


def _finished(stand: Stand, uids: Sequence[str]) -> dict[str, float]:
    """Return the engine's FinishedAt of each pod's container, in seconds of the epoch."""
    shown = '{{index .Config.Labels "interlink.eu/uid"}} {{.State.FinishedAt}}'
    lines = stand.engine.run("inspect", "--format", shown, *(f"il-{uid}-main-0" for uid in uids)).splitlines()
    return {uid: exits._epoch(stamp) for uid, stamp in (line.split() for line in lines)}
