"""Settings of one process: flags over environment over file over default, from one table.

The file is `interlink.yaml`: the one of `--config-file` or INTERLINK_CONFIG_FILE, else the first that is
there of the user's configuration directory and /etc/interlink.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlink.config import keys, older, remotesecret, yamlfile
from interlink.config.yamlfile import Place
from interlink.errors import ConfigError
from interlink.model import kinds

FILE_NAME = "interlink.yaml"
SYSTEM_DIRECTORY = Path("/etc/interlink")


@dataclass(frozen=True)
class Option:
    """One setting: the field of Settings, its environment variable, and what it means."""

    name: str
    variable: str
    kind: kinds.Kind
    example: str
    doc: str


OPTIONS: Mapping[str, Option] = {
    option.name: option
    for option in (
        Option(
            "state_dir",
            "INTERLINK_STATE",
            kinds.text,
            "/var/lib/interlink",
            "The directory of everything that is kept.",
        ),
        Option(
            "listen",
            "INTERLINK_LISTEN",
            kinds.text,
            "127.0.0.1:3000",
            "Where the server listens: HOST:PORT or unix:PATH.",
        ),
        Option(
            "inventory",
            "INTERLINK_INVENTORY",
            kinds.listing(kinds.text),
            "/etc/interlink/inventory.yaml",
            "The inventory, or a list of several.",
        ),
        Option(
            "ledger",
            "INTERLINK_LEDGER",
            kinds.text,
            "postgresql+psycopg://localhost/interlink",
            "The ledger's database URL.",
        ),
        Option(
            "token_file", "INTERLINK_TOKEN_FILE", kinds.text, "/etc/interlink/token", "The file with the bearer token."
        ),
        Option(
            "key_file",
            "INTERLINK_KEY_FILE",
            kinds.text,
            "/etc/interlink/key",
            "The key for payloads kept in PostgreSQL.",
        ),
        Option("server_id", "INTERLINK_SERVER_ID", kinds.label_value, "site-a", "Whose pods are ours on the hosts."),
        Option("threads", "INTERLINK_THREADS", kinds.integer(2, 1024), "64", "Threads that answer requests."),
        Option(
            "streams", "INTERLINK_STREAMS", kinds.integer(1, 1023), "48", "How many of them may be follows and watches."
        ),
        Option(
            "sidecar",
            "INTERLINK_SIDECAR",
            kinds.text,
            "http://127.0.0.1:4000",
            "Another's plugin to pass all pods to, instead of driving the inventory's hosts.",
        ),
        Option("body_limit", "INTERLINK_BODY_LIMIT", kinds.size, "64Mi", "The largest request body."),
    )
}


@dataclass(frozen=True)
class Settings:
    """All settings of a process, checked. Sizes in bytes; `inventory` holds the sources in their order."""

    state_dir: Path
    ledger: str = ""  # empty: an SQLite file in the state directory
    inventory: tuple[str, ...] = ()  # empty: this machine
    listen: str = "127.0.0.1:3000"
    token_file: Path | None = None
    key_file: Path | None = None
    server_id: str = ""
    threads: int = 64
    streams: int = 48
    body_limit: int = 64 << 20
    sidecar: str = ""  # empty: drive the inventory's hosts
    file: Path | None = None  # the settings file that was read

    @property
    def known_hosts(self) -> Path:
        """The file of host keys that `hosts.trust` pins."""
        return self.state_dir / "known_hosts"


def load(
    flags: Mapping[str, Any] | None = None, environ: Mapping[str, str] = os.environ, *, server: bool = False
) -> Settings:
    """Return the settings; of `flags`, None and "" are not given. ConfigError names where a mistake stands.

    `flags` has the names of Settings' fields and `config_file`. A `server` also takes the file and the variables of
    those that came before it (`config.older`), with less weight than our own.
    """
    given = {name: value for name, value in (flags or {}).items() if value not in (None, "", (), [])}
    named = given.pop("config_file", None)
    path = _settings_file(named, environ)
    values: dict[str, Any] = {}
    if server:
        file = older_file(named, environ)
        values = dict(older.load(file, environ).settings())
        path = None if file is not None else path
    values |= _from_file(path) if path else {}
    values |= _from_environment(environ)
    values |= {name: _flag(name, value) for name, value in given.items()}
    state = Path(values.pop("state_dir", None) or default_state(environ)).expanduser().absolute()
    sources = values.pop("inventory", None)
    if not sources and server and remotesecret.named(environ):
        sources = [remotesecret.inventory(environ, private_directory(state / "remote-secret"))]
    sources = sources or default_inventory()
    for name in ("token_file", "key_file"):
        if name in values:
            values[name] = Path(values[name]).expanduser()
    return Settings(
        state_dir=state,
        inventory=tuple(sources),
        file=path,
        **values,
    )


def older_file(named: Any, environ: Mapping[str, str]) -> Path | None:
    """Return the file of an older server that is to be read, if any: a named one, or the one in the usual place."""
    chosen = named or environ.get("INTERLINK_CONFIG_FILE")
    if chosen:
        path = Path(str(chosen)).expanduser()
        return path if older.looks_like_it(path) else None
    if stated := environ.get("INTERLINKCONFIGPATH"):
        return Path(stated).expanduser()
    ours = _settings_file(None, environ)
    return older.DEFAULT if ours is None and older.DEFAULT.is_file() else None


def default_state(environ: Mapping[str, str]) -> Path:
    """Return the state directory of this user: /var/lib for root, XDG's otherwise."""
    if os.geteuid() == 0:
        return Path("/var/lib/interlink")
    return Path(environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "interlink"


def default_inventory() -> list[str]:
    """Return the first default inventory that is there; none stands for this machine."""
    candidates = (Path("inventory/local.yaml"), SYSTEM_DIRECTORY / "inventory.yaml")
    return [str(path) for path in candidates if path.exists()][:1]


def private_directory(path: Path) -> Path:
    """Create a directory, and those above it, that only we can enter; ConfigError if that is not possible."""
    try:
        for missing in reversed([each for each in (path, *path.parents) if not each.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            path.chmod(0o700)
    except OSError as error:
        raise ConfigError(
            f"the state directory cannot be used: {error.strerror}; choose another by --state-dir or INTERLINK_STATE",
            file=str(path),
        ) from error
    return path


def read_secret(path: Path, what: str) -> str:
    """Read a secret of one line from a file that nobody else can read; ConfigError says what is wrong."""
    try:
        status = path.stat()
        text = path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigError(f"the {what} cannot be read: {error.strerror}", file=str(path)) from error
    except UnicodeDecodeError:
        raise ConfigError(f"the {what} is not text", file=str(path)) from None  # the cause holds the secret
    if status.st_mode & 0o077 and stat.S_ISREG(status.st_mode):
        mode = stat.S_IMODE(status.st_mode)
        raise ConfigError(f"the {what} can be read by others (mode {mode:04o}); chmod 600 {path}", file=str(path))
    if not text:
        raise ConfigError(f"the {what} is empty", file=str(path))
    return text


def _settings_file(flag: Any, environ: Mapping[str, str]) -> Path | None:
    """Return the settings file; one that was named must exist."""
    named = flag or environ.get("INTERLINK_CONFIG_FILE")
    if named:
        return Path(str(named)).expanduser()
    user = Path(environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "interlink"
    return next((d / FILE_NAME for d in (user, SYSTEM_DIRECTORY) if (d / FILE_NAME).is_file()), None)


def _from_file(path: Path) -> dict[str, Any]:
    text = yamlfile.read_text(path)
    data = yamlfile.parse(text, str(path))
    if data is None:
        return {}
    given = yamlfile.mapping(data, text, str(path))
    values = {name: _checked(name, value, given.place(name)) for name, value in given.items()}
    return {name: value for name, value in values.items() if value is not None}


def _checked(name: Any, value: Any, place: Place) -> Any:
    option = OPTIONS.get(name)
    if option is None:
        raise place.error(f"{name!r} is no setting{keys.nearest(str(name), OPTIONS)}")
    if value is None:
        return None
    try:
        return option.kind(value)
    except ValueError as error:
        raise place.error(f"{name}: {value!r} is wrong: {error} (for example {name}: {option.example})") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    values = {}
    for option in OPTIONS.values():
        if text := environ.get(option.variable):
            values[option.name] = _converted(option, text, option.variable)
    return values


def _flag(name: str, value: Any) -> Any:
    return _converted(OPTIONS[name], value, "--" + name.replace("_", "-"))


def _converted(option: Option, value: Any, where: str) -> Any:
    try:
        return option.kind(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {value!r} is wrong: {error} (for example {option.example})") from error
