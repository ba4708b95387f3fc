"""One store of each kind, empty, for every test that asks for it."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from batchjob.adapters.folder import FolderStore
from batchjob.adapters.stores import open_store
from batchjob.ports import Store
from tests.support.servers import S3Server

OnServer = Callable[[str], S3Server]


@dataclass(frozen=True)
class Subject:
    """A store, and what its server (not the adapter) cannot do."""

    store: Store
    name: str
    rounds: int
    """Rounds of a race: SeaweedFS lets racing conditional writes wait in steps of a second.

    None on moto, which compares and writes without a lock: sometimes two writers win there.
    """

    def needs_atomic_server(self) -> None:
        if not self.rounds:
            pytest.skip(f"{self.name} compares and writes in two steps")


@pytest.fixture
def on_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OnServer:
    """The server whose fixture is named, its credentials in the environment."""

    def choose(fixture: str) -> S3Server:
        server: S3Server = request.getfixturevalue(fixture)
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        return server

    return choose


def empty_store(server: S3Server) -> Store:
    return open_store(f"s3://{server.bucket}/{secrets.token_hex(4)}", endpoint=server.endpoint)


@pytest.fixture(params=["folder", "seaweedfs", "moto"])
def subject(request: pytest.FixtureRequest, tmp_path: Path, on_server: OnServer) -> Iterator[Subject]:
    if request.param == "folder":
        yield Subject(FolderStore(tmp_path / "work"), "folder", 20)
    elif request.param == "seaweedfs":
        yield Subject(empty_store(on_server("s3_real")), "seaweedfs", 1)
    else:
        yield Subject(empty_store(on_server("s3_listing")), "moto", 0)


@pytest.fixture
def store(subject: Subject) -> Store:
    return subject.store
