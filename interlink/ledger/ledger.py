"""The durable record of what was asked, where it was placed, and what was last observed.

Every transition is a compare-and-set: it says from which state it may start, and answers whether it took
place. So two processes on one ledger, or one that repeats itself after a kill, cannot undo each other.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from interlink.errors import InputError, Unavailable
from interlink.ledger.codec import dump_status
from interlink.ledger.engine import open_engine, sqlite_path
from interlink.ledger.rows import PodRow, from_columns
from interlink.ledger.tables import meta, pods, unknown_deletes
from interlink.model.status import PodStatus

# built once, and values given beside them: SQLAlchemy looks at a new statement longer than it takes to execute it
_NEW_POD = sa.insert(pods)
_NEXT_REVISION = (
    sa.update(meta)
    .where(meta.c.key == "revision")
    .values(value=sa.cast(sa.cast(meta.c.value, sa.BigInteger) + 1, sa.String))
    .returning(meta.c.value)
)


class Ledger:
    """Pods by UID in a database; safe for threads and for several processes. Unavailable if it is away."""

    def __init__(self, url: str) -> None:
        self.engine = open_engine(url)
        self._writer = secrets.token_hex(8)
        # SQLite lets one write at a time, and whoever finds it busy sleeps for a while, which is longer than a write.
        self._turn: AbstractContextManager[object] = threading.Lock() if self.path else nullcontext()

    def close(self) -> None:
        self.engine.dispose()

    @property
    def path(self) -> Path | None:
        """The file, if the ledger is one (SQLite)."""
        return sqlite_path(self.engine)

    def server_id(self) -> str:
        """Return the id that marks our pods on hosts; made at first use (decisions.md 15).

        Beside an SQLite ledger it is kept in a file as well, so that it outlives a lost ledger.
        """
        file = self.path.parent / "server-id" if self.path else None
        kept = file.read_text().strip() if file and file.exists() else ""
        value = self.agree("server-id", kept or secrets.token_hex(6))
        if file and kept != value:
            file.write_text(value + "\n")
        return value

    def take_over(self, server_id: str) -> None:
        """Let another id's pods be ours from the next start on.

        InputError while there are pods under the present one: nobody would look after them any more.
        """
        with self._write() as connection:
            self._stamp(connection)
            own = connection.scalar(sa.select(sa.func.count()).where(pods.c.confirmed_at.is_(None)))
            if own:
                raise InputError(f"the ledger has {own} pods under its present server id; delete them first")
            connection.execute(sa.delete(meta).where(meta.c.key == "server-id"))
            connection.execute(sa.insert(meta).values(key="server-id", value=server_id))
        self.server_id()

    def agree(self, key: str, proposal: str) -> str:
        """Return what all processes on this ledger hold for `key`: the first proposal that came."""
        with self._write() as connection:
            self._stamp(connection)
            found = connection.scalar(sa.select(meta.c.value).where(meta.c.key == key))
            if found is None:
                connection.execute(sa.insert(meta).values(key=key, value=proposal))
            return proposal if found is None else str(found)

    # Reading

    def revision(self) -> int:
        """Return the number of the last write."""
        with self._read() as connection:
            return int(connection.scalar(sa.select(meta.c.value).where(meta.c.key == "revision")) or 0)

    def rows(self, since: int = -1) -> list[PodRow]:
        """Return all rows written after revision `since`, in the order of their last write."""
        return self._rows(pods.c.revision > since)

    def rows_of_others(self, since: int) -> list[PodRow]:
        """Return the rows that another process wrote last, after revision `since`."""
        return self._rows(sa.and_(pods.c.revision > since, pods.c.writer != self._writer))

    def row(self, uid: str) -> PodRow | None:
        with self._read() as connection:
            found = connection.execute(sa.select(pods).where(pods.c.uid == uid)).mappings().first()
        return from_columns(dict(found)) if found else None

    # Targets

    def accept(self, row: PodRow) -> bool:
        """Record a new pod; False if the UID is known, or was deleted before it came."""
        with self._write() as connection:
            stamp = self._stamp(connection)
            if connection.scalar(sa.select(unknown_deletes.c.uid).where(unknown_deletes.c.uid == row.uid)):
                return False
            if connection.scalar(sa.select(pods.c.uid).where(pods.c.uid == row.uid)):
                return False
            connection.execute(_NEW_POD, {**row.columns(), **stamp})
            return True

    def delete(self, uid: str, *, grace: int | None, now: float) -> bool:
        """Record that the pod shall go; True if it is known.

        An unknown UID is kept as deleted (decisions.md 8). A repeated delete can only shorten the grace.
        """
        with self._write() as connection:
            self._stamp(connection)
            found = connection.execute(sa.select(pods).where(pods.c.uid == uid)).mappings().first()
            if found is None:
                connection.execute(sa.delete(unknown_deletes).where(unknown_deletes.c.uid == uid))
                connection.execute(sa.insert(unknown_deletes).values(uid=uid, deleted_at=now))
                return False
            changed = from_columns(dict(found)).to_delete(grace, now)
            if changed is not None:
                values = {name: getattr(changed, name) for name in ("target", "delete_grace", "deleted_at")}
                self._update(connection, pods.c.uid == uid, values)
            return True

    def deleted_unknown(self) -> frozenset[str]:
        """Return the UIDs of deletes that came without a pod."""
        with self._read() as connection:
            return frozenset(connection.scalars(sa.select(unknown_deletes.c.uid)))

    # Placement

    def place(self, uid: str, *, host: str, node: str) -> bool:
        """Bind the pod to a host; False if it is bound or no longer wanted. Precedes the first remote command."""
        return self._set(uid, sa.and_(pods.c.host.is_(None), pods.c.target == "run"), {"host": host, "node": node})

    def unplace(self, uid: str, host: str) -> bool:
        """Free a pod that was certainly never sent to its host, so that another may take it."""
        return self._set(uid, sa.and_(pods.c.host == host, pods.c.launched_at.is_(None)), {"host": None})

    def launched(self, uid: str, *, jid: str, now: float) -> bool:
        """Record that the host has confirmed the launch."""
        return self._set(uid, pods.c.launched_at.is_(None), {"launched_at": now, "jid": jid})

    def refused(self, uid: str, *, status: PodStatus, now: float) -> bool:
        """Record that the pod was refused for good; `status` says why."""
        values = {"refused_at": now, "status": dump_status(status), "final": True}
        return self._set(uid, sa.and_(pods.c.launched_at.is_(None), pods.c.refused_at.is_(None)), values)

    def confirm(self, uid: str, *, status: PodStatus, now: float) -> bool:
        """Record that nothing of a deleted pod is left, with its final status unless one is recorded."""
        with self._write() as connection:
            mine = sa.and_(pods.c.uid == uid, pods.c.target == "deleted")
            unsaid = sa.and_(mine, pods.c.final.is_(False))
            connection.execute(sa.update(pods).where(unsaid).values(status=dump_status(status), final=True))
            return self._update(connection, mine, {"confirmed_at": now})

    # Observation

    def save_statuses(self, statuses: Iterable[PodStatus]) -> None:
        """Keep observed statuses, many in one transaction; a terminal one is final, and a final one stays."""
        values = [
            {"key": status.uid, "seen": dump_status(status), "last": status.terminal, "native": status.jid}
            for status in statuses
        ]
        if not values:
            return
        with self._write() as connection:
            query = (
                sa.update(pods)
                .where(pods.c.uid == sa.bindparam("key"), pods.c.final.is_(False))
                .values(
                    status=sa.bindparam("seen", type_=pods.c.status.type),
                    final=sa.bindparam("last", type_=sa.Boolean),
                    jid=sa.case((sa.bindparam("native") != "", sa.bindparam("native")), else_=pods.c.jid),
                    **self._stamp(connection),
                )
            )
            connection.execute(query, values)

    def expire(self, *, confirmed_before: float, unknown_before: float) -> list[str]:
        """Forget pods whose delete was confirmed and deletes of unknown UIDs before these times."""
        with self._write() as connection:
            old = list(connection.scalars(sa.select(pods.c.uid).where(pods.c.confirmed_at < confirmed_before)))
            connection.execute(sa.delete(pods).where(pods.c.confirmed_at < confirmed_before))
            connection.execute(sa.delete(unknown_deletes).where(unknown_deletes.c.deleted_at < unknown_before))
            return old

    # How

    def _set(self, uid: str, condition: sa.ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        with self._write() as connection:
            return self._update(connection, sa.and_(pods.c.uid == uid, condition), values)

    def _update(self, connection: sa.Connection, condition: sa.ColumnElement[bool], values: Mapping[str, Any]) -> bool:
        change = sa.update(pods).where(condition)
        return connection.execute(change, {**values, **self._stamp(connection)}).rowcount == 1

    def _stamp(self, connection: sa.Connection) -> dict[str, Any]:
        """Number a write, and hold up all other writers until it is done.

        So no revision appears after a greater one was read, and what a writer has looked up stays true.
        """
        revision = connection.execute(_NEXT_REVISION).scalar_one()
        return {"revision": int(revision), "writer": self._writer}

    def _rows(self, condition: sa.ColumnElement[bool]) -> list[PodRow]:
        query = sa.select(pods).where(condition).order_by(pods.c.revision)
        with self._read() as connection:
            return [from_columns(dict(row)) for row in connection.execute(query).mappings()]

    @contextmanager
    def _read(self) -> Iterator[sa.Connection]:
        with translated(), self.engine.connect() as plain:
            connection = plain.execution_options(interlink_reads=True)
            with connection.begin():
                yield connection

    @contextmanager
    def _write(self) -> Iterator[sa.Connection]:
        with translated(), self._turn, self.engine.begin() as connection:
            yield connection


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable where the database is away."""
    try:
        yield
    except sa.exc.OperationalError as error:
        raise Unavailable(f"the ledger is away: {error.orig}") from error
