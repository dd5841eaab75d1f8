"""Accepted requests, kept with their secrets until the launch."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from interlink.errors import ConfigError, NotFound, Unavailable
from interlink.ledger import FilePayloads, Ledger, Payloads, TablePayloads
from interlink.model.pod import Pod, PodRequest

Make = Callable[[], Payloads]


def request_of(uid: str = "u1", value: str = "hidden") -> PodRequest:
    return PodRequest(
        Pod({"metadata": {"uid": uid, "name": "p"}, "spec": {"containers": []}}),
        configmaps=({"metadata": {"name": "c"}, "data": {"k": "ü\n"}},),
        secrets=({"metadata": {"name": "s"}, "data": {"pw": value}},),
        projected=({"metadata": {"name": "v"}, "data": {"token": "t"}},),
        job_script="#!/bin/sh",
        resolved=True,
        origin="cluster-1",
    )


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(f"sqlite:///{tmp_path}/ledger.db")) as opened:
        yield opened


@pytest.fixture(params=["files", "table"])
def make(request: pytest.FixtureRequest, tmp_path: Path, ledger: Ledger) -> Make:
    """Open the same payloads as another process would; the table's SQL is the same on every database."""
    if request.param == "files":
        return lambda: FilePayloads(tmp_path / "payload")
    return lambda: TablePayloads(ledger, tmp_path / "payload.key")


def test_a_request_is_read_back_by_another_process(make: Make) -> None:
    make().put(request_of())
    assert make().get("u1") == request_of()
    assert list(make().uids()) == ["u1"]


def test_the_last_put_counts(make: Make) -> None:
    payloads = make()
    payloads.put(request_of(value="old"))
    payloads.put(request_of(value="new"))
    assert payloads.get("u1") == request_of(value="new")
    assert list(payloads.uids()) == ["u1"]


def test_a_dropped_request_is_gone(make: Make) -> None:
    payloads = make()
    payloads.put(request_of())
    payloads.drop("u1")
    payloads.drop("u1")
    assert list(payloads.uids()) == []
    with pytest.raises(NotFound):
        payloads.get("u1")


@pytest.mark.parametrize("uid", ["../escape", "a/b", ".", "x" * 100, "ü"])
def test_any_uid_is_a_key_and_no_path(make: Make, uid: str, tmp_path: Path) -> None:
    payloads = make()
    payloads.put(request_of(uid))
    assert payloads.get(uid) == request_of(uid)
    assert list(payloads.uids()) == [uid]
    assert {p.name for p in tmp_path.iterdir()} <= {
        "payload", "payload.key", "ledger.db", "ledger.db-wal", "ledger.db-shm",
    }  # fmt: skip


def test_files_are_private_and_complete(tmp_path: Path) -> None:
    os.makedirs(tmp_path / "payload", mode=0o755)
    FilePayloads(tmp_path / "payload").put(request_of())
    (file,) = (tmp_path / "payload").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_file_is_synced_with_its_directory_before_it_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payloads, synced = FilePayloads(tmp_path / "payload"), []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    payloads.put(request_of())
    assert synced[0].endswith(".new")  # the content, under its temporary name
    assert synced[1] == str(tmp_path / "payload")  # then the rename


def test_a_directory_that_cannot_be_written_is_said_so_and_nothing_is_left(tmp_path: Path) -> None:
    payloads = FilePayloads(tmp_path / "payload")
    (tmp_path / "payload").rmdir()
    with pytest.raises(Unavailable, match="cannot be kept"):
        payloads.put(request_of())


def test_the_table_holds_no_secret(tmp_path: Path, ledger: Ledger) -> None:
    TablePayloads(ledger, tmp_path / "payload.key").put(request_of())
    with ledger.engine.connect() as connection:
        (body,) = connection.execute(sa.text("SELECT body FROM payloads")).scalars()
    assert b"hidden" not in body
    assert b"token" not in body
    assert stat.S_IMODE((tmp_path / "payload.key").stat().st_mode) == 0o600


def test_a_body_stands_for_its_own_pod_alone(tmp_path: Path, ledger: Ledger) -> None:
    payloads = TablePayloads(ledger, tmp_path / "payload.key")
    payloads.put(request_of("u1"))
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("UPDATE payloads SET uid = 'u2'"))
    with pytest.raises(NotFound, match="cannot be decrypted"):
        payloads.get("u2")


def test_servers_with_different_keys_do_not_share_a_ledger(tmp_path: Path, ledger: Ledger) -> None:
    TablePayloads(ledger, tmp_path / "one.key")
    TablePayloads(ledger, tmp_path / "one.key")
    with pytest.raises(ConfigError, match="another key"):
        TablePayloads(ledger, tmp_path / "two.key")


@pytest.mark.parametrize(("content", "mode", "said"), [(b"AAAA\n", 0o600, "32 bytes"), (b"A" * 44, 0o644, "chmod 600")])
def test_a_bad_key_file_is_refused(tmp_path: Path, ledger: Ledger, content: bytes, mode: int, said: str) -> None:
    file = tmp_path / "bad.key"
    file.write_bytes(content)
    file.chmod(mode)
    with pytest.raises(ConfigError, match=said):
        TablePayloads(ledger, file)


@pytest.mark.lab
def test_requests_in_postgresql(postgres_url: str, tmp_path: Path) -> None:
    with closing(Ledger(postgres_url)) as opened:
        payloads = TablePayloads(opened, tmp_path / "payload.key")
        payloads.put(request_of())
        payloads.put(request_of(value="new"))
        assert TablePayloads(opened, tmp_path / "payload.key").get("u1") == request_of(value="new")
        payloads.drop("u1")
        assert payloads.uids() == []
