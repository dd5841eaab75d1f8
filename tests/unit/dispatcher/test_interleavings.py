"""Creates, deletes, faults and kills in any order end as asked: each pod once, none doubled, none left over."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, rule

from interlink.drivers.mock import Fault
from interlink.errors import InterlinkError
from interlink.model.pod import PodRef, PodRequest
from interlink.model.status import Phase
from tests.unit.dispatcher.world import QUICK, Killed, World, ref, request_for, wait

FAULTS = st.sampled_from([Fault.LOST_AFTER, Fault.LOST_BEFORE, Fault.UNAVAILABLE])
HOSTS = st.sampled_from(["h1", "h2"])


class Interleavings(RuleBasedStateMachine):
    """The clients' view: what they have asked for. The hosts' truth is in the world, and compared at the end."""

    pods = Bundle("pods")

    def __init__(self) -> None:
        super().__init__()
        self.state = Path(tempfile.mkdtemp(prefix="interleavings"))
        self.world = World(self.state, settings=replace(QUICK, launch_wait=0.02))
        self.wanted: dict[str, PodRequest] = {}
        self.deleted: set[str] = set()
        self.number = 0

    @initialize()
    def start(self) -> None:
        self.world.start()

    @rule(target=pods)
    def create(self) -> PodRequest:
        self.number += 1
        request = request_for(f"u{self.number}", requests={"cpu": "1"})
        self.wanted[request.pod.uid] = request
        self.ask(lambda: self.world.dispatcher.create(request))
        return request

    @rule(target=pods, calls=st.integers(1, 6))
    def create_and_be_killed(self, calls: int) -> PodRequest:
        self.world.fuse.left = calls
        return self.create()

    @rule(target=pods, fault=FAULTS, burden=HOSTS)
    def create_with_a_fault(self, fault: Fault, burden: str) -> PodRequest:
        """Create while every first attempt fails and one host fills up, so that another host looks better."""
        uid = f"u{self.number + 1}"
        for name in self.world.drivers:
            self.on(name, lambda driver: driver.faults.inject(fault, "create", uid=uid))
        request = self.create()
        self.world.dispatcher._book.charge("burden", burden, {"cpu": 60_000})
        return request

    @rule(request=pods)
    def create_again(self, request: PodRequest) -> None:
        self.ask(lambda: self.world.dispatcher.create(request))

    @rule(request=consumes(pods))
    def delete(self, request: PodRequest) -> None:
        self.deleted.add(request.pod.uid)
        self.ask(lambda: self.world.dispatcher.delete(ref(request), 0))

    @rule(request=consumes(pods), calls=st.integers(1, 6))
    def delete_and_be_killed(self, request: PodRequest, calls: int) -> None:
        self.world.fuse.left = calls
        self.delete(request)

    @rule(request=consumes(pods))
    def delete_and_create_again(self, request: PodRequest) -> None:
        self.delete(request)
        self.ask(lambda: self.world.dispatcher.create(request))

    @rule()
    def delete_before_create(self) -> None:
        self.number += 1
        request = request_for(f"u{self.number}")
        self.deleted.add(request.pod.uid)
        self.ask(lambda: self.world.dispatcher.delete(PodRef(request.pod.uid)))
        self.ask(lambda: self.world.dispatcher.create(request))

    @rule()
    def kill(self) -> None:
        self.world.kill()
        self.world.start(connected=False)

    @rule(calls=st.integers(1, 12))
    def kill_soon(self, calls: int) -> None:
        """Kill the process at one of its next calls to ledger, payloads or hosts."""
        self.world.fuse.left = calls

    @rule(host=HOSTS, fault=FAULTS, operation=st.sampled_from(["create", "delete", "listing", "observe"]))
    def fail(self, host: str, fault: Fault, operation: str) -> None:
        self.on(host, lambda driver: driver.faults.inject(fault, operation))

    @rule(host=HOSTS)
    def cut(self, host: str) -> None:
        self.on(host, lambda driver: driver.cut())

    def teardown(self) -> None:
        try:
            self.check()
        finally:
            self.world.kill()
            shutil.rmtree(self.state)

    def check(self) -> None:
        self.world.kill()  # also what was killed in the middle, and nobody has noticed
        for driver in self.world.drivers.values():
            driver.faults.clear()
        self.world.start()
        dispatcher = self.world.dispatcher
        asked_for = self.wanted.keys() - self.deleted
        wait(lambda: self.world.living() == asked_for, f"{asked_for} live, and not {self.world.living()}")
        wait(lambda: {p.uid for p in dispatcher.pods()} == asked_for, "what is deleted is confirmed")
        wait(lambda: all(p.status.phase is Phase.RUNNING for p in dispatcher.pods()), "what runs is seen to run")
        launches = self.world.launches
        assert {uid: len(hosts) for uid, hosts in launches.items() if len(hosts) > 1} == {}
        assert asked_for <= launches.keys()
        assert {p.uid: [p.host] for p in dispatcher.pods()} == {uid: launches[uid] for uid in asked_for}
        assert not any(host.load.get("orphans") for host in dispatcher.hosts())
        wait(lambda: not list((self.state / "payload").glob("*.json")), "no request is kept longer than needed")

    def ask(self, call: Callable[[], object]) -> None:
        """Ask until an answer comes, as clients do; a killed server is started again."""
        for _ in range(50):
            try:
                call()
                return
            except (Killed, InterlinkError):
                self.world.kill()
                self.world.start(connected=False)
        raise AssertionError("never answered")

    def on(self, host: str, what: Callable[..., None]) -> None:
        driver = self.world.drivers.get(host)
        if driver is not None:
            what(driver)


TestInterleavings = Interleavings.TestCase
TestInterleavings.settings = settings(
    max_examples=12,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
