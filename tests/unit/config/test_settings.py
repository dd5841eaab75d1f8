"""Settings: precedence, places of mistakes, defaults by user, private directories and secrets."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path

import pytest

from interlink.config import settings
from interlink.errors import ConfigError


@pytest.fixture(autouse=True)
def _empty_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's /etc or the checkout is seen."""
    monkeypatch.setattr(settings, "SYSTEM_DIRECTORY", tmp_path / "etc")
    monkeypatch.chdir(tmp_path)


def file(tmp_path: Path, text: str) -> dict[str, str]:
    path = tmp_path / "my.yaml"
    path.write_text(text)
    return {"config_file": str(path)}


def test_every_setting_is_in_the_table() -> None:
    assert {f.name for f in fields(settings.Settings)} == {*settings.OPTIONS, "file"}
    assert len({o.variable for o in settings.OPTIONS.values()}) == len(settings.OPTIONS)


@pytest.mark.parametrize("option", settings.OPTIONS.values(), ids=lambda o: o.name)
def test_every_setting_is_documented_by_an_example_that_is_right(option: settings.Option, tmp_path: Path) -> None:
    assert option.doc.endswith(".")
    from_file = settings.load(file(tmp_path, f"{option.name}: {option.example}"), {})
    from_environment = settings.load({}, {option.variable: option.example})
    from_flag = settings.load({option.name: option.example}, {})
    assert getattr(from_file, option.name) == getattr(from_environment, option.name) == getattr(from_flag, option.name)


def test_flags_over_environment_over_file_over_default(tmp_path: Path) -> None:
    flags = file(tmp_path, "threads: 5\nstreams: 4\nlisten: 127.0.0.1:1\nbody_limit: 1Mi\n")
    environ = {"INTERLINK_THREADS": "6", "INTERLINK_STREAMS": "5"}
    got = settings.load({**flags, "threads": 7, "listen": None}, environ)
    assert (got.threads, got.streams, got.listen, got.body_limit) == (7, 5, "127.0.0.1:1", 1 << 20)
    assert settings.load({}, {}).threads == 64


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("threads: 5\nlissten: x\n", r"my.yaml:2: 'lissten' is no setting; did you mean listen\?"),
        ("\n\nthreads: many\n", r"my.yaml:3: threads: 'many' is wrong: write a whole number from 2 to 1024"),
        ("threads: 5\nthreads: 6\n", r"my.yaml:2: the key 'threads' comes a second time"),
        ("- threads\n", r"my.yaml: a mapping .* is needed, found a list"),
        ("threads: [\n", r"my.yaml:2: not valid YAML"),
        ("threads: 2001-02-31\n", r"my.yaml: not valid YAML"),
        ("body_limit: -1\n", r"my.yaml:1: body_limit: -1 is wrong: -1 is negative"),
    ],
)
def test_a_mistake_in_the_file(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings.load(file(tmp_path, text), {})


def test_a_mistake_in_flag_or_environment() -> None:
    with pytest.raises(ConfigError, match=r"--body-limit: 'x' is wrong.*for example 64Mi"):
        settings.load({"body_limit": "x"}, {})
    with pytest.raises(ConfigError, match="INTERLINK_THREADS: '1' is wrong"):
        settings.load({}, {"INTERLINK_THREADS": "1"})


def test_a_file_that_was_named_must_exist() -> None:
    with pytest.raises(ConfigError, match=r"nowhere.yaml: cannot be read: No such file"):
        settings.load({}, {"INTERLINK_CONFIG_FILE": "nowhere.yaml"})


def test_the_users_file_comes_before_the_systems(tmp_path: Path) -> None:
    for directory, threads in ((tmp_path / "etc", 3), (tmp_path / "home/interlink", 4)):
        directory.mkdir(parents=True)
        (directory / "interlink.yaml").write_text(f"threads: {threads}\n")
    assert settings.load({}, {}).threads == 3
    got = settings.load({}, {"XDG_CONFIG_HOME": str(tmp_path / "home")})
    assert (got.threads, got.file) == (4, tmp_path / "home/interlink/interlink.yaml")


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert settings.load(file(tmp_path, "# nothing\n"), {}).threads == 64


def test_state_by_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    got = settings.load({}, {"XDG_STATE_HOME": "/home/a/state"})
    assert (got.state_dir, got.ledger) == (Path("/home/a/state/interlink"), "")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert settings.load({}, {}).state_dir == Path("/var/lib/interlink")
    assert settings.load({}, {"INTERLINK_STATE": "here"}).state_dir == Path.cwd() / "here"


def test_the_default_inventory_is_searched_in_order(tmp_path: Path) -> None:
    assert settings.load({}, {}).inventory == ()
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/inventory.yaml").touch()
    assert settings.load({}, {}).inventory == (str(tmp_path / "etc/inventory.yaml"),)
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory/local.yaml").touch()
    assert settings.load({}, {}).inventory == ("inventory/local.yaml",)
    assert settings.load({}, {"INTERLINK_INVENTORY": "e.yaml"}).inventory == ("e.yaml",)
    assert settings.load({"inventory": ["a", "b"]}, {"INTERLINK_INVENTORY": "e.yaml"}).inventory == ("a", "b")


def test_private_directories_are_closed_to_others(tmp_path: Path) -> None:
    directory = tmp_path / "a/b"
    for _ in range(2):
        assert settings.private_directory(directory).stat().st_mode & 0o777 == 0o700
        assert directory.parent.stat().st_mode & 0o777 == 0o700
        directory.chmod(0o755)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="Not a directory; choose another by --state-dir"):
        settings.private_directory(tmp_path / "file/x")


def test_secrets_are_refused_if_others_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "token"
    with pytest.raises(ConfigError, match="the token cannot be read: No such file"):
        settings.read_secret(path, "token")
    path.write_bytes(b" s3cret\n")
    path.chmod(0o640)
    with pytest.raises(ConfigError, match=r"can be read by others \(mode 0640\); chmod 600") as caught:
        settings.read_secret(path, "token")
    assert "s3cret" not in str(caught.value)
    path.chmod(0o600)
    assert settings.read_secret(path, "token") == "s3cret"
    path.write_bytes(b"\n")
    with pytest.raises(ConfigError, match="is empty"):
        settings.read_secret(path, "token")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="is not text"):
        settings.read_secret(path, "token")
