"""What a user is told whose kubeconfig is missing, broken or expired: one line that says what would be right."""

from __future__ import annotations

import asyncio
import base64
import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from interlink.errors import ConfigError
from interlink.kubelet.kube import Kube, faults
from interlink.kubelet.kube.errors import ApiError
from tests.unit.kubelet.serverkit import Authority

NOW = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)


def config(**changes: Any) -> dict[str, Any]:
    whole = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "a", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "a", "user": "u"}}],
        "current-context": "c",
    }
    return {**whole, **changes}


def refused(kubeconfig: Path | str) -> str:
    """Return what `interlink kubelet` says of a kubeconfig."""

    async def connect() -> None:
        kube = await Kube.connect(str(kubeconfig))
        await kube.close()

    with pytest.raises(ConfigError) as caught:
        asyncio.run(connect())
    assert "\n" not in str(caught.value)
    return str(caught.value)


FAULTS = {
    "no context": ({"current-context": ""}, "it has no current-context; choose one by `kubectl config use-context"),
    "wrong context": ({"current-context": "z"}, "its current-context 'z' is not among its contexts (c)"),
    "no contexts": ({"contexts": None}, "its current-context 'c' is not among its contexts (none)"),
    "no user": ({"users": []}, "its context 'c' names the user 'u', which is not there"),
    "no cluster": ({"clusters": []}, "its context 'c' names the cluster 'a', which is not there"),
    "no server": ({"clusters": [{"name": "a", "cluster": {}}]}, "its cluster 'a' has no server"),
    "no certificate": (
        {"users": [{"name": "u", "user": {"client-certificate": "no.crt", "client-key": "no.key"}}]},
        "no.crt, cannot be read: No such file or directory",
    ),
    "no token": (
        {"users": [{"name": "u", "user": {"tokenFile": "/nowhere/token"}}]},
        "tokenFile of its user 'u', /nowhere/token, cannot be read: No such file or directory",
    ),
}


@pytest.mark.parametrize(("changes", "message"), FAULTS.values(), ids=FAULTS.keys())
def test_what_is_missing_is_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    file = tmp_path / "config"
    file.write_text(json.dumps(config(**changes)))
    said = refused(file)
    assert message in said
    assert str(file) in said


def test_no_file_no_reading_no_yaml(tmp_path: Path) -> None:
    assert "there is no such file; name another by --kubeconfig, $KUBECONFIG" in refused(tmp_path / "absent")
    assert "it cannot be read: Is a directory" in refused(tmp_path)
    file = tmp_path / "config"
    for text in ("clusters: [", "just words", "", "[1, 2]"):
        file.write_text(text)
        assert "it is no kubeconfig: " in refused(file)


def test_a_pod_without_its_account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "192.0.2.1")

    async def connect() -> None:
        await Kube.connect()

    with pytest.raises(ConfigError, match="this pod's service account cannot be used"):
        asyncio.run(connect())


def token(**claims: Any) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"head.{body}.signature"


def test_what_has_expired_is_told_and_what_cannot_be_told_is_not(tmp_path: Path) -> None:
    assert faults.expired(None, token(exp=NOW.timestamp() - 60), NOW) == "the token expired at 2026-06-01 11:59:00 UTC"
    for holds in (token(exp=NOW.timestamp() + 60), token(), token(exp="soon"), "opaque", "a.b.c", ""):
        assert faults.expired(None, holds, NOW) == ""
    pem = Authority().client(tmp_path / "pem", "someone").read_bytes()
    later = datetime.now(timezone.utc) + timedelta(days=3)
    assert faults.expired(pem, "") == ""
    assert faults.expired(pem, "", later).startswith("the client certificate expired at ")
    assert faults.expired(b"no certificate", "") == ""


def test_a_refusal_says_why_where_we_know() -> None:
    error = ApiError(401, "Unauthorized", "Unauthorized")
    assert error.remarked("") is error
    assert (
        str(error.remarked("the token expired"))
        == "Kubernetes answered 401 Unauthorized: Unauthorized (the token expired)"
    )
