"""Objects for tests that bring no kubelet, and a way to run a coroutine beside others."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

Object = dict[str, Any]


def stub_node(name: str) -> Object:
    """A node that nobody serves, ready for pods."""
    room = {"cpu": "4", "memory": "8Gi", "pods": "100"}
    condition = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"test-node": name}},
        "status": {"capacity": room, "allocatable": room, "conditions": [condition]},
    }


def pod(name: str, **spec: Any) -> Object:
    """A pod that would run for ever."""
    container = {"name": "c", "image": "busybox:1.36", "command": ["sleep", "1000"]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, **spec},
    }


@contextlib.asynccontextmanager
async def beside(work: Coroutine[Any, Any, Any]) -> AsyncIterator[None]:
    """Run something during a block; its own error is the test's."""
    task = asyncio.create_task(work)
    try:
        yield
        if task.done():
            task.result()
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def until(condition: Callable[[], object], seconds: float = 240) -> None:
    """Wait for a condition of this process; AssertionError after `seconds`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while not condition():
        assert loop.time() < deadline, f"waited {seconds:g} s"
        await asyncio.sleep(0.02)
