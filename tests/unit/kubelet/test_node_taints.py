"""A node's taints: ours come and go, an administrator's and the controllers' stay."""

from __future__ import annotations

from typing import Any

import pytest

from interlink.kubelet import taints
from interlink.model.driver import NodeRecord, Taint

GPU, SITE = Taint("example.org/gpu", "yes"), Taint("example.org/site", "", "NoExecute")
OTHERS = {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}
OURS = taints.to_json(taints.NO_SCHEDULE)
MARK = taints.to_json(taints.UNREACHABLE)
GPU_JSON = taints.to_json(GPU)


def node(now: list[dict[str, Any]], last: list[Taint] | str | None) -> dict[str, Any]:
    text = taints.remember(last) if isinstance(last, list) else last
    annotations = {} if text is None else {taints.MEMORY: text}
    return {"metadata": {"resourceVersion": "7", "annotations": annotations}, "spec": {"taints": now}}


Asked = list[Taint] | None
CASES: list[tuple[str, dict[str, Any], Asked, bool, list[dict[str, Any]] | None]] = [
    ("nothing changed", node([OURS, OTHERS], [taints.NO_SCHEDULE]), [taints.NO_SCHEDULE], False, None),
    (
        "one more is wanted",
        node([OURS, OTHERS], [taints.NO_SCHEDULE]),
        [taints.NO_SCHEDULE, GPU],
        False,
        [OURS, OTHERS, GPU_JSON],
    ),
    (
        "one is no longer wanted",
        node([OURS, GPU_JSON, OTHERS], [taints.NO_SCHEDULE, GPU]),
        [taints.NO_SCHEDULE],
        False,
        [OURS, OTHERS],
    ),
    ("one was removed by hand", node([OTHERS], [taints.NO_SCHEDULE]), [taints.NO_SCHEDULE], False, None),
    ("one got another value", node([GPU_JSON], [GPU]), [Taint(GPU.key, "no")], False, [{**GPU_JSON, "value": "no"}]),
    ("one was added by hand before us", node([GPU_JSON], []), [GPU], False, [GPU_JSON]),
    ("away", node([OURS], [taints.NO_SCHEDULE]), [taints.NO_SCHEDULE], True, [OURS, MARK]),
    ("still away", node([OURS, MARK], [taints.NO_SCHEDULE]), [taints.NO_SCHEDULE], True, None),
    ("back again", node([MARK, OURS, OTHERS], [taints.NO_SCHEDULE]), [taints.NO_SCHEDULE], False, [OURS, OTHERS]),
    (
        "away, and what is wanted is not known",
        node([OURS, GPU_JSON], [taints.NO_SCHEDULE, GPU]),
        None,
        True,
        [OURS, GPU_JSON, MARK],
    ),
    ("not known, and not away", node([OURS, GPU_JSON], None), None, False, None),
    ("the memory was spoiled", node([GPU_JSON], "]["), [GPU], False, [GPU_JSON]),
]


@pytest.mark.parametrize(("before", "asked", "away", "after"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_patch(before: dict[str, Any], asked: Asked, away: bool, after: list[dict[str, Any]] | None) -> None:
    patch = taints.patch(asked, before, away=away)
    if after is None:
        assert patch is None
        return
    assert patch is not None
    assert patch["metadata"]["resourceVersion"] == "7"
    assert patch.get("spec", before["spec"])["taints"] == after
    remembered = patch["metadata"].get("annotations") or before["metadata"]["annotations"]
    settled = {"metadata": {"resourceVersion": "8", "annotations": remembered}, "spec": {"taints": after}}
    assert taints.patch(asked, settled, away=away) is None, "it settles after one patch"


def test_our_own_taint_may_be_another_or_none() -> None:
    record = NodeRecord("n", {}, {}, {}, (taints.NO_SCHEDULE, GPU, SITE, GPU), ())
    assert taints.wanted(taints.NO_SCHEDULE, record) == (taints.NO_SCHEDULE, GPU, SITE)
    assert taints.wanted(None, record) == (GPU, SITE)
    assert taints.wanted(SITE, record) == (SITE, GPU)
    assert taints.wanted(taints.NO_SCHEDULE, None) == (taints.NO_SCHEDULE,)
