"""Image references and the credentials that fit them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from interlink.bundle import images
from interlink.errors import InvalidPod
from interlink.model.pod import Pod, PodRequest

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("busybox", "docker.io/library/busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36"),
        ("docker.io/busybox", "docker.io/busybox:latest"),
        ("docker.io/library/busybox:1", "docker.io/library/busybox:1"),
        ("user/app", "docker.io/user/app:latest"),
        ("index.docker.io/user/app", "docker.io/user/app:latest"),
        ("localhost/app", "localhost/app:latest"),
        ("127.0.0.1:5000/library/busybox:1.36", "127.0.0.1:5000/library/busybox:1.36"),
        ("[::1]:5000/x", "[::1]:5000/x:latest"),
        (f"r.io/a/b@{DIGEST}", f"r.io/a/b@{DIGEST}"),
        (f"r.io/a/b:1@{DIGEST}", f"r.io/a/b:1@{DIGEST}"),
        ("Not A Valid/Image:!!", "Not A Valid/Image:!!"),
    ],
)
def test_normal_form(image: str, full: str) -> None:
    assert images.normalized(image) == full


@pytest.mark.parametrize("image", ["busybox", "a/b/c:x", "r.io:5000/a", f"a@{DIGEST}", "a__b/c-d.e", "A.io/x"])
def test_valid(image: str) -> None:
    assert images.is_valid(image)


@pytest.mark.parametrize(
    "image",
    [
        "",
        " busybox",
        "Busybox",
        "--privileged",
        "-v",
        "a:",
        "a@",
        "a b",
        "a//b",
        "/a",
        "a/",
        "a:b:c",
        "Not A Valid/Image:!!",
        "a" * 256,
        "f" * 64,
        "a\n",
    ],
)
def test_invalid(image: str) -> None:
    assert not images.is_valid(image)


def auth(user: str) -> str:
    return base64.b64encode(f"{user}:pw".encode()).decode()


def pulling(image: str, *secrets: Any) -> list[dict[str, str]]:
    """Return registry and user of each configuration, in the order of trying."""
    objects, mentions = [], [{"name": "absent"}]
    for number, content in enumerate(secrets):
        key = ".dockerconfigjson" if isinstance(content, dict) and "auths" in content else ".dockercfg"
        raw = content if isinstance(content, bytes) else json.dumps(content).encode()
        objects.append({"metadata": {"name": f"s{number}"}, "data": {key: base64.b64encode(raw).decode()}})
        mentions.append({"name": f"s{number}"})
    request = PodRequest(Pod({"spec": {"imagePullSecrets": mentions}}), secrets=tuple(objects))
    found = (json.loads(config)["auths"] for config in images.pull_configs(request, image))
    return [
        {key: base64.b64decode(entry["auth"]).decode().split(":")[0] for key, entry in auths.items()} for auths in found
    ]


def test_the_hub_under_all_its_names() -> None:
    for name in ("https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"):
        assert pulling("busybox:1", {"auths": {name: {"auth": auth("a")}}}) == [{images.HUB_KEY: "a"}]
    assert pulling("r.io/busybox", {"auths": {"docker.io": {"auth": auth("a")}}}) == []


def test_user_and_password_do_as_well() -> None:
    assert pulling("r.io:5000/x", {"auths": {"r.io:5000": {"username": "bob", "password": "p:w"}}}) == [
        {"r.io:5000": "bob"}
    ]


def test_schemes_versions_paths_and_stars() -> None:
    entries = {
        "https://r.io/v2/": {"auth": auth("all")},
        "r.io/team": {"auth": auth("team")},
        "r.io/team/app": {"auth": auth("app")},
        "r.io/teams": {"auth": auth("other")},
        "*.io": {"auth": auth("star")},
        "*.*.io": {"auth": auth("stars")},
    }
    users = [user for config in pulling("r.io/team/app/x:1", {"auths": entries}) for user in config.values()]
    assert users[:2] == ["app", "team"]
    assert sorted(users[2:]) == ["all", "star"]
    assert pulling("r.io:5000/team/x", {"auths": entries}) == []


def test_the_first_secret_is_tried_first_and_each_once() -> None:
    one, two = {"auths": {"r.io": {"auth": auth("one")}}}, {"r.io": {"auth": auth("two")}}
    assert pulling("r.io/x@" + DIGEST, one, two, one) == [{"r.io": "one"}, {"r.io": "two"}]


@pytest.mark.parametrize(
    "content",
    [
        b"no json",
        b"[]",
        b"5",
        {"auths": []},
        {"auths": {"r.io": {}}},
        {"auths": {"r.io": {"auth": "!"}}},
        {"auths": {"r.io": {"auth": "eA=="}}},
        {"auths": {"r.io": 5}},
    ],
    ids=str,
)
def test_a_broken_secret_is_named(content: Any) -> None:
    if content in ({"auths": []}, b"[]"):
        content = {"auths": [1]}
    with pytest.raises(InvalidPod) as caught:
        pulling("r.io/x", content)
    assert str(caught.value) == 'spec.imagePullSecrets[1]: secret "s0" holds no valid docker configuration'


def test_credentials_do_not_show() -> None:
    assert "hidden" not in repr(images.Credential("r.io", "hidden"))


def test_how_to_pull() -> None:
    assert images.pull_arguments("a:1", "docker") == ((), ("pull", "--quiet", "a:1"))
    assert images.pull_arguments("a:1", "docker", "/d") == (("--config", "/d"), ("pull", "--quiet", "a:1"))
    full = "docker.io/library/a:1"
    assert images.pull_arguments("a:1", "podman", "/f") == ((), ("pull", "--quiet", "--authfile", "/f", full))
