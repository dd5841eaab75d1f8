"""The virtual kubelet on a real control plane, with mock hosts: bursts, API requests per pod, weight.

The floor of a burst is the scheduler's own binding in the same burst, or KWOK's simulated node on the same control
plane, in turn with ours (`beside_kwok`); that of memory and CPU the same kubelet with an empty node.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench import usage
from tests.bench.kubelet_stand import Json, Node, Plane, Scene, kwok_node, node, pids_of, pinned, plane
from tests.bench.measure import Row, Size, Target, in_turn, median_ratio, wait
from tests.bench.stand import PATIENCE

HOST = {"interlink_driver": "mock", "ansible_connection": "local"}
RUN = "mock.interlink.eu/run"
FOREVER = {RUN: "forever"}
BACKGROUND = ("leases", "nodes", "version")  # requests that no pod causes


def rows(size: Size) -> Iterator[Row]:
    with _stand() as (on, ours, _):
        yield from _bursts(on, ours, size)
        yield from _lives(on, ours, size.pods(200, 20))
        yield from _weight(on, ours, size)


def beside_kwok(size: Size) -> Iterator[Row]:
    """Our node and KWOK's in turn; KWOK is built once on a machine, which takes minutes."""
    with _stand() as (on, ours, directory), kwok_node(on, directory / "kwok") as theirs:
        yield from _pairs(on, ours, theirs, size)


@contextmanager
def _stand() -> Iterator[tuple[Plane, Node, Path]]:
    with ExitStack() as stack:
        on = stack.enter_context(plane())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ilb")))
        yield on, stack.enter_context(node(on, directory / "ours", HOST)), directory


def _bursts(on: Plane, ours: Node, size: Size) -> Iterator[Row]:
    """Apply many pods at once, again and again."""
    count, rounds = size.pods(1000, 50), size.rounds(3)
    before = _processor(on, ours)
    scenes = [_burst(on, ours.name, count) for _ in range(rounds)]
    processor = _processor(on, ours) - before
    what, note = _named(count), f"{rounds} bursts; floor: the scheduler has bound them"
    running, bound = [scene.running for scene in scenes], [scene.bound for scene in scenes]
    yield Row(what, "s", median(running), median(bound), median_ratio(running, bound), Target("<=", 1.5), note)
    for name, seconds in sorted(processor.items()):
        yield Row(f"{what}: CPU of the {name}", "ms a pod", seconds / rounds / count * 1e3, note="their end included")


def _pairs(on: Plane, ours: Node, theirs: str, size: Size) -> Iterator[Row]:
    count, rounds = size.pods(1000, 50), size.rounds(3)
    calls = [lambda name=name: _burst(on, name, count).running for name in (ours.name, theirs)]
    mine, kwok = in_turn(calls, rounds)
    pairs = " ".join(f"{a / b:.2f}" for a, b in zip(mine, kwok, strict=True))
    note = f"floor: KWOK's node; pairs {pairs}"
    yield Row(_named(count), "s", median(mine), median(kwok), median_ratio(mine, kwok), Target("<=", 1.1), note)


def _burst(on: Plane, name: str, count: int) -> Scene:
    """Apply pods to a node, see them run, and remove them."""
    namespace, scene = on.play([pinned(f"b-{index}", name, annotations=FOREVER) for index in range(count)])
    on.remove(namespace)
    return scene


def _named(count: int) -> str:
    return f"{count} pods at once, all Running"


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
        before = _settled(ours)
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
