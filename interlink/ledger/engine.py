"""Open the ledger's database and bring its tables up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa

from interlink.errors import ConfigError, Unavailable

SCHEMA = "0002"  # the last step in migrations/versions
_MIGRATION_LOCK = 0x494C4544  # any number that all versions agree upon
_BUSY_SECONDS = 30.0


def open_engine(url: str) -> sa.Engine:
    """Return an engine for `url` (sqlite:///PATH or postgresql://...) with all tables in place.

    ConfigError for a URL that is neither, or a ledger that a newer version has written; Unavailable if
    the database does not answer.
    """
    parsed = _parse(url)
    engine = _sqlite(parsed) if parsed.get_backend_name() == "sqlite" else _postgresql(parsed)
    try:
        _migrate(engine)
    except sa.exc.OperationalError as error:
        engine.dispose()
        raise Unavailable(f"the ledger {parsed.render_as_string()} cannot be opened: {error.orig}") from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def sqlite_path(engine: sa.Engine) -> Path | None:
    """Return the file of an SQLite ledger, None for PostgreSQL."""
    return Path(str(engine.url.database)) if engine.dialect.name == "sqlite" else None


def _parse(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise ConfigError(f"the ledger's URL {url!r} is none; write sqlite:///PATH or postgresql://...") from error
    backend = parsed.get_backend_name()
    if backend == "sqlite" and parsed.database and parsed.database != ":memory:":
        return parsed
    if backend in ("postgresql", "postgres"):
        return parsed.set(drivername="postgresql+psycopg")
    raise ConfigError(f"the ledger must be sqlite:///PATH or postgresql://..., not {parsed.render_as_string()}")


def _sqlite(url: sa.URL) -> sa.Engine:
    path = Path(str(url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_SECONDS, "check_same_thread": False})

    @sa.event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves, below
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout = {int(_BUSY_SECONDS * 1000)}")
        cursor.execute("PRAGMA journal_mode = WAL")
        cursor.execute("PRAGMA synchronous = FULL")  # in WAL mode, NORMAL may lose an accepted pod with the power
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later would fail at once instead of waiting its turn.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if _writes(connection) else "BEGIN")

    return engine


def _writes(connection: sa.Connection) -> bool:
    return not connection.get_execution_options().get("interlink_reads")


def _postgresql(url: sa.URL) -> sa.Engine:
    return sa.create_engine(url, pool_pre_ping=True, pool_size=8, max_overflow=24, connect_args={"connect_timeout": 10})


def _migrate(engine: sa.Engine) -> None:
    with engine.begin() as connection:  # two servers that start together take turns
        if engine.dialect.name == "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
        if _schema(connection) != [SCHEMA]:
            from interlink.ledger import upgrade  # alembic is slow to import, and seldom needed

            upgrade.upgrade(connection)


def _schema(connection: sa.Connection) -> list[str]:
    """Return what alembic has noted; nothing in a new database."""
    if not sa.inspect(connection).has_table("alembic_version"):
        return []
    return list(connection.scalars(sa.text("SELECT version_num FROM alembic_version")))
