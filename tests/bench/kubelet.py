"""The virtual kubelet on a real control plane, with mock hosts: bursts, API requests per pod, weight.

The floor of a burst is the scheduler's own binding in the same burst, and KWOK's simulated node on the same control
plane, in turn with ours; that of memory and CPU the same kubelet with an empty node.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench import usage
from tests.bench.kubelet_stand import Json, Node, Plane, Scene, kwok_node, node, pids_of, pinned, plane
from tests.bench.measure import Row, Size, Target, wait
from tests.bench.stand import PATIENCE

HOST = {"interlink_driver": "mock", "ansible_connection": "local"}
RUN = "mock.interlink.eu/run"
FOREVER = {RUN: "forever"}
BACKGROUND = ("leases", "nodes", "version")  # requests that no pod causes


def rows(size: Size) -> Iterator[Row]:
    with ExitStack() as stack:
        on = stack.enter_context(plane())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ilb")))
        ours = stack.enter_context(node(on, directory / "ours", HOST))
        yield from _bursts(on, ours, stack.enter_context(kwok_node(on, directory / "kwok")), size)
        yield from _lives(on, ours, size.pods(200, 20))
        yield from _weight(on, ours, size)


def _bursts(on: Plane, ours: Node, theirs: str, size: Size) -> Iterator[Row]:
    """Apply many pods at once, again and again, to our node and to KWOK's in turn."""
    count, rounds = size.pods(1000, 50), size.rounds(3)
    mine: list[Scene] = []
    kwok: list[Scene] = []
    processor: Counter[str] = Counter()
    for number in range(rounds):
        for name in (ours.name, theirs) if number % 2 == 0 else (theirs, ours.name):
            manifests = [pinned(f"b-{index}", name, annotations=FOREVER) for index in range(count)]
            before = _processor(on, ours)
            namespace, scene = on.play(manifests)
            if name == ours.name:
                processor.update(_processor(on, ours) - before)
            (mine if name == ours.name else kwok).append(scene)
            on.remove(namespace)
    what, note = f"{count} pods at once, all Running", f"{rounds} bursts; floor: the scheduler has bound them"
    running, bound = [scene.running for scene in mine], [scene.bound for scene in mine]
    ratio = median(scene.running / scene.bound for scene in mine)
    yield Row(what, "s", median(running), median(bound), ratio, Target("<=", 1.5), note)
    ratio = median(a.running / b.running for a, b in zip(mine, kwok, strict=True))
    pairs = " ".join(f"{a.running / b.running:.2f}" for a, b in zip(mine, kwok, strict=True))
    floor = median(scene.running for scene in kwok)
    yield Row(what, "s", median(running), floor, ratio, Target("<=", 1.1), f"floor: KWOK's node; pairs {pairs}")
    for name, seconds in sorted(processor.items()):
        yield Row(f"{what}: CPU of the {name}", "ms a pod", seconds / rounds / count * 1e3)


def _processor(on: Plane, ours: Node) -> Counter[str]:
    """Return the CPU seconds of each side until now."""
    parts = {"kubelet": [ours.pid], "interLink server": ours.served.pids(), "control plane": pids_of(on.cluster)}
    return Counter({name: usage.cpu(pids) for name, pids in parts.items()})


def _lives(on: Plane, ours: Node, count: int) -> Iterator[Row]:
    """Count the API requests of pods that end by themselves, and of pods that are deleted while they run."""
    for what, told, target in (
        ("one that ends by itself", {RUN: "2"}, Target("<=", 6, of="ours")),
        ("one that is deleted while it runs", FOREVER, None),
    ):
        before = ours.requests()
        namespace = on.namespace()
        on.create(namespace, [ours.pod(f"l-{index}", annotations=told) for index in range(count)])
        phase = "Running" if told == FOREVER else "Succeeded"
        path = f"/api/v1/namespaces/{namespace}/pods?limit=1&fieldSelector=status.phase!={phase}"
        wait(lambda path=path: not on.cluster.get(path)["items"], f"all are {phase}", PATIENCE, 0.3)  # type: ignore[misc]
        on.remove(namespace)
        after = _settled(ours)
        sent = Counter({name: number - before[name] for name, number in after.items()})
        note = ", ".join(f"{name} {number / count:.2g}" for name, number in sent.most_common() if number)
        yield Row(f"API requests over a pod's life: {what}", "requests", sent.total() / count, target=target, note=note)


def _settled(ours: Node) -> Counter[str]:
    """Return the counts once nothing but heartbeats is added to them: events may come late."""
    seen: list[Counter[str]] = [Counter()]

    def quiet() -> bool:
        found = Counter({name: n for name, n in ours.requests().items() if not name.endswith(BACKGROUND)})
        seen.append(found)
        time.sleep(1)
        return found == seen[-2]

    wait(quiet, "the kubelet is quiet", PATIENCE)
    return seen[-1]


def _weight(on: Plane, ours: Node, size: Size) -> Iterator[Row]:
    count, duration = size.pods(5000, 100), size.of(20, 2)
    empty, idle = usage.memory([ours.pid]), usage.percent(lambda: [ours.pid], duration)
    namespace = on.namespace()
    bound: list[Json] = [ours.pod(f"w-{index}", annotations=FOREVER, nodeName=ours.name) for index in range(count)]
    on.create(namespace, bound)
    path = f"/api/v1/namespaces/{namespace}/pods?limit=1&fieldSelector=status.phase!=Running"
    wait(lambda: not on.cluster.get(path)["items"], "all run", 4 * PATIENCE, 0.5)
    _settled(ours)
    full, busy = usage.memory([ours.pid]), usage.percent(lambda: [ours.pid], duration)
    what, note = f"kubelet, {count} pods", "floor: the same kubelet after the bursts, with an empty node"
    yield Row(f"{what}: RSS", "MiB", full.rss / 2**20, empty.rss / 2**20, note=note)
    yield Row(f"{what}: memory of one", "KiB", (full.rss - empty.rss) / count / 1024)
    yield Row(f"{what}: idle CPU", "% of a core", busy, idle, note=note)
