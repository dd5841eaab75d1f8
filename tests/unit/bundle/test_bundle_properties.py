"""Bytes survive: shell words, env-files, tars and expansions, against the tools and models they are made for."""

from __future__ import annotations

import io
import itertools
import re
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlink.bundle import envfile, files, tar, text
from interlink.bundle.env import EnvVar, expand
from interlink.errors import Unsupported
from interlink.model.driver import VolumeFile

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
parts = st.lists(st.one_of(words, st.sampled_from([text.HostValue.POD_IP, text.HostValue.HOST_IP])), max_size=6)
values = parts.map(lambda found: text.text(*found))
plain = words.map(text.text)
names = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="="), min_size=1, max_size=8)
KNOWN = {text.HostValue.POD_IP: "10.0.0.7", text.HostValue.HOST_IP: "192.0.2.1"}


@settings(deadline=None, max_examples=60)
@given(st.lists(values, min_size=1, max_size=5))
def test_a_shell_reads_words_as_they_were_meant(argv: list[text.Text]) -> None:
    script = f"IL_POD_IP=10.0.0.7 IL_HOST_IP=192.0.2.1; printf '%s\\0' {text.line(argv)}"
    for shell in ("sh", "bash"):
        done = subprocess.run([shell], input=script.encode(), capture_output=True, check=True)
        assert done.stdout.decode().split("\0")[:-1] == [text.literal(word, KNOWN) for word in argv]


@given(parts)
def test_a_text_is_in_one_form_only(found: list[text.Part]) -> None:
    made = text.text(*found)
    assert text.concat(made) == made == text.text(*made)
    assert not any(isinstance(a, str) and isinstance(b, str) for a, b in itertools.pairwise(made))
    assert "" not in made


def test_nul_is_no_word() -> None:
    with pytest.raises(ValueError, match="NUL"):
        text.word(text.text("a\0b"))


def test_a_host_value_is_always_ours() -> None:
    with pytest.raises(ValueError, match="PATH"):
        text.HostValue("PATH")


def go_expand(given: str, known: dict[str, str]) -> str:
    """Kubernetes' own algorithm, step by step (third_party/forked/golang/expansion)."""
    out, cursor = "", 0
    while cursor < len(given):
        rest = given[cursor + 1 :]
        if given[cursor] != "$" or not rest:
            out, cursor = out + given[cursor], cursor + 1
        elif rest[0] == "$":
            out, cursor = out + "$", cursor + 2
        elif rest[0] == "(" and ")" in rest:
            name = rest[1 : rest.index(")")]
            out, cursor = out + known.get(name, f"$({name})"), cursor + rest.index(")") + 2
        else:
            out, cursor = out + "$" + rest[0], cursor + 2
    return out


@given(st.text(st.sampled_from("$()AB x\n")), st.dictionaries(st.sampled_from(["A", "B", "AB", ""]), words))
def test_expansion_is_that_of_kubernetes(given_text: str, known: dict[str, str]) -> None:
    expanded = expand(given_text, {name: text.text(value) for name, value in known.items()})
    assert text.literal(expanded) == go_expand(given_text, known)


def read_by_docker(content: bytes) -> dict[str, str]:
    """What docker's CLI makes of an env-file (opts/file.go): Go's bufio.ScanLines, `#`, and blanks on the left."""
    found = {}
    for line in content.split(b"\n"):
        assert len(line) < 64 * 1024, "bufio.Scanner: token too long"
        stripped = line.removesuffix(b"\r").decode().lstrip()
        if stripped and not stripped.startswith("#"):
            name, equals, value = stripped.partition("=")
            assert equals, "would be taken from the CLI's own environment"
            assert not set(name) & set(" \t"), "refused by docker"
            found[name] = value
    return found


def is_refused(variable: EnvVar) -> bool:
    try:
        envfile.plan([variable], field="env")
    except Unsupported:
        value = text.literal(variable.value, KNOWN)
        fits = value == value.replace("\n", "").rstrip("\r") and text.is_plain(variable.value)
        assert not (fits and " " not in variable.name and variable.name[0] != "#"), "refused without need"
        assignable = re.fullmatch(r"[A-Za-z_]\w*", variable.name, re.ASCII)
        strange = not (assignable or text.is_plain(variable.value)) or variable.name.endswith("*")
        assert strange or envfile._STEERING.fullmatch(variable.name), "refused without need"
        return True
    return False


@settings(max_examples=300)
@given(st.dictionaries(names, st.one_of(values, plain), max_size=5))
def test_every_variable_arrives_or_is_refused(env: dict[str, text.Text]) -> None:
    variables = [EnvVar(name, value) for name, value in env.items()]
    refused = [variable for variable in variables if is_refused(variable)]
    if refused:
        with pytest.raises(Unsupported) as caught:
            envfile.plan(variables, field="env")
        assert repr(refused[0].name) in str(caught.value)
        return
    made = envfile.plan(variables, field="env")
    arrived = read_by_docker(made.file)
    arrived.update({variable.name: text.literal(variable.value, KNOWN) for variable in made.exported})
    unassigned = dict(record.split("=", 1) for record in made.unassigned.decode().split("\0")[:-1])
    assert tuple(unassigned) == made.named
    assert arrived | unassigned == {name: text.literal(value, KNOWN) for name, value in env.items()}
    assert len(arrived) + len(unassigned) == len(env)
    assert all(variable.name.isidentifier() for variable in made.exported)


@pytest.mark.parametrize(
    ("name", "size", "way"),
    [
        ("A", 1000, "file"),
        ("A", 60_000, "file"),
        ("A", 70_000, "exported"),
        ("A", (128 << 10) - 3, "exported"),
        ("A", (128 << 10) - 2, "refused"),
        ("A.B", 60_000, "file"),
        ("A.B", 70_000, "named"),
        ("DOCKER_X", 70_000, "refused"),
        ("A.*", 70_000, "refused"),
    ],
)
def test_long_values(name: str, size: int, way: str) -> None:
    variable = EnvVar(name, text.text("é" * (size // 2) + "x" * (size % 2)))
    if way == "refused":
        with pytest.raises(Unsupported, match=name):
            envfile.plan([variable], field="f")
    else:
        made = envfile.plan([variable], field="f")
        assert bool(made.file) == (way == "file")
        assert bool(made.exported) == (way == "exported")
        assert bool(made.named) == bool(made.unassigned) == (way == "named")


def test_too_much_for_one_process() -> None:
    many = [EnvVar(f"V{number}", text.text("x\n" * 60_000)) for number in range(9)]
    envfile.plan(many[:8], field="f")
    with pytest.raises(Unsupported, match="1 MiB"):
        envfile.plan(many, field="f")


def test_secrets_do_not_show_in_reprs() -> None:
    variable = EnvVar("A", text.text("s3cr3t\n"))
    assert "s3cr3t" not in repr(variable)
    assert "s3cr3t" not in repr(envfile.plan([variable, EnvVar("B", text.text("s3cr3t"))], field="f"))


segments = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: name not in (".", "..") and not name.startswith("..") and len(name.encode()) < 200
)
paths = st.lists(segments, min_size=1, max_size=4).map("/".join)
modes = st.integers(0, 0o777)


@st.composite
def volumes(draw: st.DrawFn) -> list[VolumeFile]:
    found: dict[str, VolumeFile] = {}
    for path in draw(st.lists(paths, max_size=6, unique=True)):
        clash = any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in found)
        if not clash:
            found[path] = VolumeFile(path, draw(modes), draw(st.binary(max_size=600)))
    return list(found.values())


@settings(max_examples=100)
@given(volumes(), st.booleans())
def test_a_volume_survives_its_tar(volume: list[VolumeFile], group: bool) -> None:
    packed = tar.pack(tar.under("vol/v", files.layout(volume, "..2026_01_01", group=group)), mtime=7)
    assert packed == tar.pack(tar.under("vol/v", files.layout(reversed(volume), "..2026_01_01", group=group)), mtime=7)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        members = {member.name: member for member in archive.getmembers()}
        for file in volume:
            member = members[f"vol/v/..2026_01_01/{file.path}"]
            stored = archive.extractfile(member)
            assert stored is not None
            assert stored.read() == file.data
            assert member.mode == (file.mode | 0o440 if group else file.mode)
            assert (member.uid, member.gid, member.mtime) == (0, 0, 7)
            top = file.path.split("/")[0]
            assert members[f"vol/v/{top}"].linkname == f"..data/{top}"
    assert members["vol/v/..data"].linkname == "..2026_01_01"
    assert all(
        member.mode == (0o2755 if group else 0o755)
        for member in members.values()
        if member.isdir() and ".." in member.name
    )


@settings(deadline=None, max_examples=15)
@given(volume=volumes())
@pytest.mark.parametrize("tool", [["tar"], ["busybox", "tar"]], ids=["gnu", "busybox"])
def test_real_tars_unpack_it(
    tmp_path_factory: pytest.TempPathFactory, tool: list[str], volume: list[VolumeFile]
) -> None:
    place = tmp_path_factory.mktemp("t")
    packed = tar.pack(files.layout(volume, "..2026_01_01"))
    command = ["sh", "-c", 'umask 077; exec "$@"', "sh", *tool, "-xpf", "-", "-C", str(place)]
    subprocess.run(command, input=packed, check=True, capture_output=True)
    for file in volume:
        path = place / file.path
        assert path.stat().st_mode & 0o7777 == file.mode
        assert read(path) == file.data


def read(path: Path) -> bytes:
    """Read a file also where its mode forbids that to anyone but root."""
    if not path.stat().st_mode & 0o400:
        path.chmod(0o600)
    return path.read_bytes()


@pytest.mark.parametrize("path", ["", ".", "..", "/x", "a/../b", "a//b", "./a", "a/", "a\0b"])
def test_a_tar_stays_in_its_directory(path: str) -> None:
    with pytest.raises(ValueError, match="relative path"):
        tar.pack([tar.File(path, b"")])


def test_a_tar_has_each_path_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        tar.pack([tar.File("a", b""), tar.Link("a", "b")])


def test_parents_are_made_and_owners_kept() -> None:
    packed = tar.pack([tar.File("a/b/c", b"", 0o640), tar.Directory("d", 0o2777)], owner=(0, 42))
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        shown = [(member.name, oct(member.mode), member.uid, member.gid) for member in archive.getmembers()]
    assert shown == [
        ("a", "0o755", 0, 42),
        ("a/b", "0o755", 0, 42),
        ("a/b/c", "0o640", 0, 42),
        ("d", "0o2777", 0, 42),
    ]


@pytest.mark.parametrize("stamp", ["2026", "../x", "..a/b"])
def test_a_stamp_hides(stamp: str) -> None:
    with pytest.raises(ValueError, match="hidden"):
        files.layout([], stamp)


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("a", "file"),
        ("d", "directory"),
        ("d/e", "file"),
        ("d/", "directory"),
        ("x", "missing"),
        ("a/b", "missing"),
        ("", "directory"),
    ],
)
def test_what_a_sub_path_is(path: str, what: str) -> None:
    listed = [VolumeFile("a", 0o644, b""), VolumeFile("d/e", 0o644, b"")]
    assert files.sub_path(listed, path) == what
