"""InterLinkConfig.yaml and its variables, as they stand at sites that run another interLink."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from interlink.config import older, settings
from interlink.errors import ConfigError

GEN1 = """\
InterlinkURL: "http://localhost"
SidecarURL: "http://plugin.example.org"
InterlinkPort: "30002"
SidecarService: "slurm"
SbatchPath: "/usr/bin/sbatch"
CommandPrefix: ""
ExportPodData: true
DataRootFolder: ".knoc/"
"""
CURRENT = """\
InterlinkAddress: "http://0.0.0.0"
InterlinkPort: "3000"
SidecarURL: "unix:///run/plugin.sock"
SidecarPort: "0"
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "InterLinkConfig.yaml"
    path.write_text(GEN1)
    return path


def load(path: Path, **environ: str) -> settings.Settings:
    return settings.load({"state_dir": "/tmp/x"}, {"INTERLINKCONFIGPATH": str(path), **environ}, server=True)


def test_the_file_gives_port_and_plugin(file: Path) -> None:
    found = load(file)
    assert (found.listen, found.sidecar) == ("127.0.0.1:30002", "http://plugin.example.org:4001")


def test_the_environment_wins_over_the_file_and_an_explicit_port_over_the_service(file: Path) -> None:
    found = load(
        file,
        INTERLINKURL="http://192.0.2.7",
        INTERLINKPORT="3100",
        SIDECARPORT="4500",
        SIDECARSERVICE="docker",
        VKTOKENFILE="/etc/token",
    )
    assert found.listen == "192.0.2.7:3100"
    assert found.sidecar == "http://plugin.example.org:4500"
    assert found.token_file == Path("/etc/token")


def test_our_own_settings_win_over_theirs(file: Path) -> None:
    assert load(file, INTERLINK_LISTEN="127.0.0.1:9").listen == "127.0.0.1:9"
    found = settings.load({"config_file": str(file), "listen": "127.0.0.1:8"}, {"HOME": "/"}, server=True)
    assert found.listen == "127.0.0.1:8"


def test_keys_that_do_nothing_are_warned_of_with_their_place(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    file.write_text(GEN1 + "SidecarPrt: 1\n")
    with caplog.at_level(logging.WARNING):
        load(file)
    told = caplog.text
    assert f"{file}:1: InterlinkURL does nothing here: the virtual kubelet's" in told
    assert f"{file}:5: SbatchPath does nothing here" in told
    assert f"{file}:9: SidecarPrt does nothing here: there is no such key; did you mean SidecarPort?" in told
    assert "SidecarURL" not in told


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("InterlinkPort: high", ":9: InterlinkPort: 'high' is wrong: write a whole number from 1 to 65535"),
        ("sidecarservice: htcondor", ":9: sidecarservice: 'htcondor' is wrong: write one of docker, slurm"),
        ("SidecarURL: ftp://x", ":9: SidecarURL: 'ftp://x' is wrong"),
        ("TLS: {Enabled: true}", ":9: TLS.Enabled: this server speaks no TLS itself"),
    ],
)
def test_a_wrong_value_is_an_error_with_its_line(file: Path, line: str, said: str) -> None:
    key = line.partition(":")[0].lower()
    kept = "".join(each + "\n" if each.partition(":")[0].lower() != key else "#\n" for each in GEN1.splitlines())
    file.write_text(f"{kept}{line}\n")
    with pytest.raises(ConfigError) as error:
        load(file)
    assert f"{file}{said}" in str(error.value)


def test_a_wrong_variable_is_named(file: Path) -> None:
    with pytest.raises(ConfigError, match=r"\$SIDECARPORT: 'x' is wrong"):
        load(file, SIDECARPORT="x")


def test_sockets_and_every_address(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(CURRENT.replace('"0"', "4000"))
    found = load(path)
    assert (found.listen, found.sidecar) == ("0.0.0.0:3000", "unix:///run/plugin.sock")


def test_only_a_server_reads_them(file: Path) -> None:
    found = settings.load({"state_dir": "/tmp/x"}, {"INTERLINKCONFIGPATH": str(file), "SIDECARPORT": "x"})
    assert (found.sidecar, found.listen) == ("", "127.0.0.1:3000")


def test_a_sidecar_listens_where_its_service_does() -> None:
    assert older.load(None, {}).sidecar_listen("docker") == "127.0.0.1:4000"
    assert older.load(None, {}).sidecar_listen("slurm") == "127.0.0.1:4001"
    assert older.load(None, {"SIDECARPORT": "4321"}).sidecar_listen("docker") == "127.0.0.1:4321"
