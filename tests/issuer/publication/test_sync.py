"""``stadtpass sync``: a verifier's folder from the running service, and what strangers on the way cannot do."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from uvicorn import Config, Server

from issuer.application import Application
from issuer.publication import publish_due
from tests.e2e.commandline import Outcome, main_in_process
from tests.issuer.publication.handheld import Handheld, plates_of, revoke, seal_of
from tests.service import City, running_numbers
from tests.trust_factory import City as OtherCity
from tests.web_app import create_app

ON_ONE_DATABASE = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
Sync = Callable[..., Outcome]
AT = "2026-11-20T12:00"


@contextmanager
def listening(application: Application) -> Iterator[str]:
    server = Server(Config(create_app(application), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def service(application: Application) -> Iterator[str]:
    publish_due(application)
    with listening(application) as address:
        yield address


@pytest.fixture
def sync(tmp_path: Path, handheld: Handheld) -> Sync:
    file = tmp_path / "token"
    file.write_text(handheld.token + "\n")

    def run(address: str, *more: object, token: bool = True) -> Outcome:
        options = ("--token-file", file) if token else ()
        return main_in_process(
            "sync", "--from", address, "--trust", tmp_path / "trust", "--lang", "en", *options, *more
        )

    return run


def check(tmp_path: Path, what: str, *inputs: str) -> int:
    return main_in_process(what, "--trust", tmp_path / "trust", "--at", AT, *inputs).code


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@ON_ONE_DATABASE
def test_a_verifier_keeps_up_with_the_service(
    application: Application, city: City, service: str, sync: Sync, tmp_path: Path
) -> None:
    number = running_numbers(application)[0]
    seal, plate = seal_of(application, number), plates_of(application, number)[0]
    first = sync(service)
    assert first.code == 0, first.stderr
    assert (check(tmp_path, "verify", seal), check(tmp_path, "check-plate", plate)) == (0, 0)
    assert (tmp_path / "trust" / "plates.cwt").stat().st_mode & 0o777 == 0o600
    assert "0 fetched" in sync(service).stdout
    city.clock.forward(seconds=1)
    revoke(application, number)
    publish_due(application)
    assert "3 fetched" in sync(service).stdout
    assert (check(tmp_path, "verify", seal), check(tmp_path, "check-plate", plate)) == (1, 1)
    # What somebody has damaged or deleted here is fetched again.
    (tmp_path / "trust" / "index.cwt").write_bytes(b"x")
    (tmp_path / "trust" / "plates.cwt").unlink()
    assert "2 fetched" in sync(service).stdout
    assert check(tmp_path, "verify", seal) == 1
    assert not [one for one in (tmp_path / "trust").iterdir() if one.name.startswith(".sync-")]


@ON_ONE_DATABASE
def test_without_a_token_the_public_lists_come(
    application: Application, service: str, sync: Sync, tmp_path: Path
) -> None:
    assert sync(service, token=False).code == 0
    assert check(tmp_path, "verify", seal_of(application, running_numbers(application)[0])) == 0
    assert not (tmp_path / "trust" / "plates.cwt").exists()


@ON_ONE_DATABASE
def test_a_locked_device_is_told_so_and_gets_the_rest(
    application: Application, service: str, sync: Sync, tmp_path: Path, handheld: Handheld
) -> None:
    from issuer.verifier_devices import lock_device

    with application.writing() as session:
        lock_device(session, application, handheld.token.split("_")[1], actor="test")
    outcome = sync(service)
    assert outcome.code == 64
    assert "not enrolled" in outcome.stderr
    assert check(tmp_path, "verify", seal_of(application, running_numbers(application)[0])) == 0


@ON_ONE_DATABASE
def test_another_city_is_not_this_one(
    application: Application, neighbour: Application, service: str, sync: Sync, tmp_path: Path
) -> None:
    sync(service, token=False)
    before = files(tmp_path / "trust")
    publish_due(neighbour)
    with listening(neighbour) as address:
        refused = sync(address, token=False)
    assert refused.code == 64
    assert len(refused.stderr.splitlines()) == 1
    assert files(tmp_path / "trust") == before


@contextmanager
def serving(answer: Callable[[str], tuple[int, dict[str, str], bytes]]) -> Iterator[tuple[str, list[str]]]:
    """A server that answers a path as ``answer`` says; gives its address and the tokens it was shown."""
    shown: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.append(self.headers.get("Authorization", ""))
            status, headers, body = answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """The program hangs up in the middle, and its own words are compared: nothing else belongs there."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", shown
    server.shutdown()
    thread.join()
    server.server_close()


def of_folder(folder: Path) -> Callable[[str], tuple[int, dict[str, str], bytes]]:
    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        name = f"{path[1:]}.cwt" if path.startswith("/status/") else path.removeprefix("/lists/")
        file = folder / name
        return (200, {}, file.read_bytes()) if file.is_file() else (404, {}, b"")

    return answer


def run(address: str, trust: Path, *more: object) -> Outcome:
    return main_in_process("sync", "--from", address, "--trust", trust, "--lang", "en", *more)


def test_older_lists_are_refused(tmp_path: Path) -> None:
    from datetime import timedelta

    from tests.trust_factory import NOW

    town = OtherCity(tmp_path / "server").publish()
    old = shutil.copytree(tmp_path / "server", tmp_path / "old")
    town.publish(NOW + timedelta(hours=1))
    trust = tmp_path / "trust"
    with serving(of_folder(tmp_path / "server")) as (address, _):
        assert run(address, trust).code == 0
    before = files(trust)
    with serving(of_folder(old)) as (address, _):
        assert run(address, trust).code == 64
    assert files(trust) == before
    # A single old list among new ones is refused as well.
    town.publish(NOW + timedelta(hours=2))
    shutil.copy(next((old / "status").iterdir()), tmp_path / "server" / "status")
    with serving(of_folder(tmp_path / "server")) as (address, _):
        assert run(address, trust).code == 64
    assert files(trust) == before


@pytest.mark.parametrize("name", ["bundle.cwt", "index.cwt", "status/17.cwt"])
@pytest.mark.parametrize("fault", ["absent", "damaged", "endless", "redirect", "error"])
def test_what_is_amiss_on_the_way_changes_nothing(tmp_path: Path, name: str, fault: str) -> None:
    from datetime import timedelta

    from tests.trust_factory import NOW

    town = OtherCity(tmp_path / "server").publish()
    whole, trust = of_folder(tmp_path / "server"), tmp_path / "trust"
    with serving(whole) as (address, _):
        assert run(address, trust).code == 0
    before = files(trust)
    town.publish(NOW + timedelta(hours=1))
    wanted = f"/{name.removesuffix('.cwt')}" if name.startswith("status") else f"/lists/{name}"

    def answer(path: str) -> tuple[int, dict[str, str], bytes]:
        status, headers, body = whole(path)
        if path != wanted:
            return status, headers, body
        match fault:
            case "absent":
                return 404, {}, b""
            case "damaged":
                return 200, {}, body[:-1] + bytes([body[-1] ^ 1])
            case "endless":
                return 200, {}, body + bytes(1024 * 1024)
            case "redirect":
                return 302, {"Location": f"{path}?again"}, b""
            case _:
                return 500, {}, b""

    with serving(answer) as (address, _):
        outcome = run(address, trust)
    assert outcome.code == 64, outcome
    assert len(outcome.stderr.splitlines()) == 1
    assert files(trust) == before


def test_a_token_never_follows_a_redirect(tmp_path: Path) -> None:
    OtherCity(tmp_path / "server").publish()
    (tmp_path / "token").write_text("spd_secret\n")
    whole = of_folder(tmp_path / "server")
    with serving(whole) as (elsewhere, shown):

        def answer(path: str) -> tuple[int, dict[str, str], bytes]:
            if path.endswith("plates.cwt"):
                return 302, {"Location": f"{elsewhere}{path}"}, b""
            return whole(path)

        with serving(answer) as (address, own):
            assert run(address, tmp_path / "trust", "--token-file", tmp_path / "token").code == 64
    assert shown == []
    assert [one for one in own if one] == ["Bearer spd_secret"]


@pytest.mark.parametrize(
    "address",
    [
        "http://pass.example",
        "file:///etc/passwd",
        "ftp://127.0.0.1",
        "https://user:secret@pass.example",
        "https://",
        "https://[x",
        "https://a:99999999",
        "https://pass.example/?q",
        "127.0.0.1:80",
    ],
)
def test_addresses_that_are_none(tmp_path: Path, address: str) -> None:
    outcome = run(address, tmp_path / "trust")
    assert (outcome.code, outcome.stdout) == (64, "")
    assert len(outcome.stderr.splitlines()) == 1


def test_nobody_there(tmp_path: Path) -> None:
    with serving(lambda _: (200, {}, b"")) as (address, _):
        pass
    outcome = run(address, tmp_path / "trust")
    assert outcome.code == 64
    assert "does not answer" in outcome.stderr


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"a b\n", b"x" * 300, b"spd_\r\nX: y"])
def test_a_file_that_holds_no_token(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with serving(lambda _: (200, {}, b"")) as (address, shown):
        outcome = run(address, tmp_path / "trust", "--token-file", tmp_path / "token")
    if content != b"spd_\r\nX: y":
        assert shown == []
    assert outcome.code == 64
    assert len(outcome.stderr.splitlines()) == 1
