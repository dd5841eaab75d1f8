"""Take a ledger's tables, step by step, to those of this version."""

from __future__ import annotations

import os
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from interlink.errors import ConfigError

_MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(connection: sa.Connection) -> None:
    """Run the steps that are missing, in the caller's transaction; ConfigError if a newer version has written it."""
    config = _config()
    _refuse_newer(connection, ScriptDirectory.from_config(config))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def head() -> str | None:
    """Return the name of the last step."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def _config() -> Config:
    config = Config(attributes={})
    config.set_main_option("script_location", os.fspath(_MIGRATIONS).replace("%", "%%"))
    return config


def _refuse_newer(connection: sa.Connection, scripts: ScriptDirectory) -> None:
    known = {step.revision for step in scripts.walk_revisions()}
    for head in MigrationContext.configure(connection).get_current_heads():
        if head not in known:
            raise ConfigError(
                f"the ledger {connection.engine.url.render_as_string()} was written by a newer interLink"
                f" (its schema is {head}, ours ends at {scripts.get_current_head()}); start that version"
            )
