"""Debian's docker-registry, open or behind a password, filled over its own HTTP interface."""

from __future__ import annotations

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab import images, process
from tests.lab.network import Namespace

USER, PASSWORD = "alice", "s3cret"
# bcrypt of the two above, the one hash that the registry reads; made by htpasswd -Bbn
HTPASSWD = "alice:$2y$05$7EjR1EONEukZeZl4LU1fCOjR453TFc/Zu.5hyolQK6PFIZuB3k7uq\n"


@dataclass(frozen=True)
class Registry:
    """One registry; `auth` asks for alice's password. Plain HTTP, which the lab's engines accept from it.

    `data` is where it keeps its images, if they are to outlive it. With `everywhere` it listens on all
    addresses of its namespace, the loopback too, for an engine in that namespace.
    """

    directory: Path
    namespace: Namespace
    port: int = 5000
    auth: bool = False
    data: Path | None = None
    everywhere: bool = False

    @property
    def address(self) -> str:
        """host:port, the first part of an image's name."""
        return f"{self.namespace.address}:{self.port}"

    @property
    def user(self) -> str:
        return USER if self.auth else ""

    @property
    def password(self) -> str:
        return PASSWORD if self.auth else ""

    @property
    def docker_config(self) -> dict[str, object]:
        """A ~/.docker/config.json, or the content of a kubernetes.io/dockerconfigjson secret, that lets one in."""
        token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return {"auths": {self.address: {"username": USER, "password": PASSWORD, "auth": token}}}

    @property
    def _daemon(self) -> process.Daemon:
        return process.Daemon("registry", self.directory)

    @property
    def alive(self) -> bool:
        return self._daemon.alive

    def start(self, content: Iterable[images.Image]) -> None:
        """Start it and push `content`; does nothing if it runs."""
        if self.alive:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        settings: dict[str, object] = {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": False}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.data or self.directory / "data")},
                "delete": {"enabled": True},
            },
            "http": {"addr": f":{self.port}" if self.everywhere else self.address},
        }
        if self.auth:
            (self.directory / "htpasswd").write_text(HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "lab", "path": str(self.directory / "htpasswd")}}
        config = self.directory / "config.yml"
        config.write_text(json.dumps(settings))  # JSON is YAML
        self._daemon.start(
            self.namespace.inside(process.find("docker-registry"), "serve", str(config)),
            env={"OTEL_TRACES_EXPORTER": "none"},
        )
        self._daemon.wait_ready(self._answers)
        for image in content:
            self.push(image)

    def stop(self) -> None:
        self._daemon.stop()

    def push(self, image: images.Image) -> None:
        """Push an image under all its names."""
        for name in image.names:
            repository, _, tag = name.rpartition(":")
            for blob in (image.config, image.blob):
                self._push_blob(repository, blob)
            kind = json.loads(image.manifest)["mediaType"]
            self._send("PUT", f"/v2/{repository}/manifests/{tag}", image.manifest, kind)

    def _push_blob(self, repository: str, blob: bytes) -> None:
        if self._send("HEAD", f"/v2/{repository}/blobs/{images.digest(blob)}", accept=404) == 200:
            return
        request = self._request("POST", f"/v2/{repository}/blobs/uploads/", b"")
        with urllib.request.urlopen(request, timeout=120) as answer:
            location = answer.headers["Location"].removeprefix(f"http://{self.address}")
        joint = "&" if "?" in location else "?"
        self._send("PUT", f"{location}{joint}digest={images.digest(blob)}", blob)

    def _request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> urllib.request.Request:
        request = urllib.request.Request(f"http://{self.address}{path}", data=body, method=method)
        request.add_header("Content-Type", kind or "application/octet-stream")
        if self.auth:
            token = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
            request.add_header("Authorization", f"Basic {token}")
        return request

    def _send(self, method: str, path: str, body: bytes | None = None, kind: str = "", accept: int = 0) -> int:
        try:
            with urllib.request.urlopen(self._request(method, path, body, kind), timeout=120) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            with error:
                if error.code == accept:
                    return error.code
                raise process.LabError(f"{method} {path}: {error.code} {error.read()[:500]!r}") from error

    def _answers(self) -> bool:
        try:
            return self._send("GET", "/v2/") == 200
        except (OSError, process.LabError):
            return False
