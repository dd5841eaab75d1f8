"""The phase that containers amount to: a table, after `getPhase` of the kubelet and the recorded pods."""

from __future__ import annotations

import pytest

from interlink.model.status import ContainerStatus, Kind, Phase, Running, State, Terminated, Waiting, phase_of

NEW: tuple[State, Terminated | None] = (Waiting("PodInitializing"), None)
RUN: tuple[State, Terminated | None] = (Running(), None)
OK: tuple[State, Terminated | None] = (Terminated(0), None)
BAD: tuple[State, Terminated | None] = (Terminated(3), None)
LOOP: tuple[State, Terminated | None] = (Waiting("CrashLoopBackOff"), Terminated(3))
P, R, S, F = Phase.PENDING, Phase.RUNNING, Phase.SUCCEEDED, Phase.FAILED

#   what it is about, inits, sidecars, mains, phase under Never, OnFailure, Always
TABLE = [
    ("nothing known is never an end", "", "", "", P, P, P),
    ("nothing known of the mains", "OK", "", "", P, P, P),
    ("not started", "", "", "NEW", P, P, P),
    ("runs", "", "", "RUN", R, R, R),
    ("one runs, one has never started", "", "", "RUN NEW", P, P, P),
    ("ended well", "", "", "OK OK", S, S, R),
    ("one failed, one runs on", "", "", "BAD RUN", R, R, R),
    ("one failed", "", "", "OK BAD", F, R, R),
    ("to be restarted", "", "", "LOOP", F, R, R),
    ("one to be restarted, one ended", "", "", "OK LOOP", F, R, R),
    ("init not started", "NEW", "", "NEW", P, P, P),
    ("init runs", "OK RUN", "", "NEW", P, P, P),
    ("init failed", "OK BAD NEW", "", "NEW", F, P, P),
    ("init to be restarted", "LOOP", "", "NEW", P, P, P),
    ("inits done", "OK OK", "", "RUN", R, R, R),
    ("sidecar not started", "", "NEW", "NEW", P, P, P),
    ("sidecar runs beside the mains", "", "RUN", "RUN", R, R, R),
    ("sidecar outlives the mains", "", "RUN", "OK", R, R, R),
    ("sidecar outlives failed mains", "", "RUN", "BAD", R, R, R),
    ("sidecar's code does not count", "", "BAD", "OK", S, S, R),
    ("sidecar ended well, main failed", "", "OK", "BAD", F, R, R),
    ("sidecar to be restarted, main runs", "", "LOOP", "RUN", R, R, R),
]
WORDS = {"NEW": NEW, "RUN": RUN, "OK": OK, "BAD": BAD, "LOOP": LOOP}


@pytest.mark.parametrize("row", TABLE, ids=[row[0] for row in TABLE])
@pytest.mark.parametrize("policy", ["Never", "OnFailure", "Always"])
def test_phase(row: tuple[str, str, str, str, Phase, Phase, Phase], policy: str) -> None:
    _, inits, sidecars, mains, never, on_failure, always = row
    containers = [
        ContainerStatus(f"{kind.value}-{index}", kind, state=WORDS[word][0], last_state=WORDS[word][1])
        for kind, words in ((Kind.INIT, inits), (Kind.SIDECAR, sidecars), (Kind.MAIN, mains))
        for index, word in enumerate(words.split())
    ]
    wanted = {"Never": never, "OnFailure": on_failure, "Always": always}[policy]
    assert phase_of(tuple(containers), policy) is wanted
