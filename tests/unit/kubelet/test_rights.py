"""The rights that are asked for are those that deploy/kustomizations/rbac.yaml grants, no fewer and no more."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from interlink.kubelet.rights import NEEDED, Right

ROOT = Path(__file__).resolve().parents[3]


def granted(role: dict[str, Any]) -> Iterator[Right]:
    namespace = role["metadata"].get("namespace", "")
    for rule in role["rules"]:
        for resource in rule["resources"]:
            kind, _, sub = resource.partition("/")
            yield from (Right(verb, kind, sub, rule["apiGroups"][0], namespace) for verb in rule["verbs"])


def test_what_is_needed_is_what_is_granted() -> None:
    documents = yaml.safe_load_all((ROOT / "deploy/kustomizations/rbac.yaml").read_text())
    roles = [document for document in documents if document["kind"] in ("ClusterRole", "Role")]
    found = {right for role in roles for right in granted(role)}
    # The one ConfigMap of kube-system is among those that may be read everywhere.
    assert found - {Right("get", "configmaps", namespace="kube-system")} == set(NEEDED)
    assert len(NEEDED) == len(set(NEEDED))
