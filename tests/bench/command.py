"""A trivial remote command against a local persistent shell (ssh.md: at most twice that, plus a round trip)."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from tests.bench.bench_ssh import bare_shell, connections, echo_ms
from tests.bench.measure import Row, Size, Target, in_turn, seconds


def rows(size: Size) -> Iterator[Row]:
    rounds, calls = size.of(5, 1), size.of(300, 50)
    with connections() as (far, near), bare_shell() as bare:
        asked = (
            lambda: seconds(lambda: bare(b"/bin/true")),
            lambda: seconds(lambda: near.run("/bin/true")),
            lambda: seconds(lambda: far.run("/bin/true")),
            lambda: seconds(lambda: near.run("true")),
            lambda: seconds(lambda: far.run("true")),
        )
        in_turn(asked, 20)
        trips, found = [], []
        for _ in range(rounds):
            trips.append(echo_ms(far, size.of(100, 20)))
            found.append([median(times) * 1e3 for times in in_turn(asked, calls)])
    trip = median(trips)
    floor, local, ssh, local_builtin, ssh_builtin = (median(column) for column in zip(*found, strict=True))
    what = "remote command /bin/true"
    yield Row("one line through sshd and back (RTT)", "ms p50", trip)
    yield Row(f"{what}, this machine", "ms p50", local, floor)
    yield Row(f"{what}, SSH", "ms p50", ssh, floor)
    ratio = median((row[2] - rtt) / row[0] for row, rtt in zip(found, trips, strict=True))
    yield Row(f"{what}, SSH less RTT", "ms p50", ssh - trip, floor, ratio, Target("<=", 2))
    yield Row("remote true (built in), SSH over this machine", "ms p50", ssh_builtin, local_builtin)
