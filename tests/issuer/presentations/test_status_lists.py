"""Whether a credential still counts: asked of our own register, or of its issuer's list by one bounded fetch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from issuer.application import Application
from issuer.eudi import status_lists
from issuer.eudi.identity import document_signer
from issuer.models_eudi import EudiCredentialRow
from issuer.presentations.asking import Outcome
from issuer.presentations.store import State
from issuer.presentations.wishes import Wish
from issuer.workspace import CONFIG
from keys.eudi_certificates import EudiSigningIdentity
from passes.credential_frame import StatusReference
from passes.credential_status import CWT_MEDIA_TYPE, StatusListFrame, pack, sign_cwt, sign_jwt
from passes.status_list import Status
from tests.eudi_presenting_wallet import MDOC, SD_JWT
from tests.issuer.eudi.conftest import set_up
from tests.issuer.presentations.conftest import wallet_of
from tests.issuer.presentations.samples import CARD, asked, become, own, own_place, pid, pid_provider
from tests.service import City
from tests.status_list_server import ListServer, list_server

pytestmark = pytest.mark.parametrize("city", ["sqlite"], indirect=True)
INDEX = 5


@pytest.fixture
def lists(tmp_path: Path) -> Iterator[ListServer]:
    folder = tmp_path / "lists"
    folder.mkdir()
    with list_server(folder) as made:
        yield made


def trusting(city: City, lists: ListServer, host: str) -> Application:
    """The city, which fetches lists from ``host``."""
    config = city.folder / CONFIG
    more = f'status_hosts = ["{host}"]\nca_file = "{lists.ca_file}"\ntimeout_seconds = 1\n'
    config.write_text(config.read_text().replace("[eudi.trusted]\n", f"[eudi.trusted]\n{more}"))
    return set_up(city)


def token(
    application: Application,
    uri: str,
    entries: dict[int, Status] | None = None,
    *,
    by: EudiSigningIdentity | None = None,
    cwt: bool = False,
    age: int = 0,
    ttl: int = 600,
    lives: int = 86_400,
) -> bytes:
    now = int(application.now().timestamp())
    frame = StatusListFrame(uri, now - age, ttl, now - age + lives)
    packed = pack((entries or {}).items())
    signer = by or pid_provider(application)
    return sign_cwt(signer, frame, packed) if cwt else sign_jwt(signer, frame, packed).encode()


def shown(application: Application, uri: str, form: str = SD_JWT) -> Outcome:
    """What comes of an identity whose status stands at ``uri``."""
    wallet = wallet_of(application)
    wallet.held = [pid(application, form, status=StatusReference(uri, INDEX))]
    made = asked(application, Wish.PROOF_OF_RESIDENCE)
    wallet.answer(wallet.read(made.link))
    return become(application, made)


def code(found: Outcome) -> str | None:
    assert (found.state is State.HOLDS) == (found.refusal is None)
    return found.refusal.code if found.refusal is not None else None


@pytest.mark.parametrize("form", [SD_JWT, MDOC])
@pytest.mark.parametrize("cwt", [False, True])
def test_a_list_of_somebody_else(city: City, lists: ListServer, form: str, cwt: bool) -> None:
    application = trusting(city, lists, f"private:{lists.host}")
    lists.kind = CWT_MEDIA_TYPE if cwt else lists.kind
    for value, expected in (
        (Status.VALID, None),
        (Status.INVALID, "PRESENTATION_REVOKED"),
        (Status.SUSPENDED, "PRESENTATION_SUSPENDED"),
    ):
        lists.body = token(application, lists.uri, {INDEX: value}, cwt=cwt, ttl=0)
        assert code(shown(application, lists.uri, form)) == expected
    assert all("application/statuslist+jwt" in one for one in lists.asked)


def test_it_is_kept_for_as_long_as_it_says(city: City, lists: ListServer) -> None:
    application = trusting(city, lists, f"private:{lists.host}")
    # Made an hour ago, and fresh for ten minutes from the moment at which it is fetched.
    lists.body = token(application, lists.uri, age=3600, ttl=600)
    for _ in range(2):
        assert code(shown(application, lists.uri)) is None
    assert len(lists.asked) == 1
    lists.body = token(application, lists.uri, {INDEX: Status.INVALID})
    city.clock.forward(minutes=9)
    assert code(shown(application, lists.uri)) is None
    city.clock.forward(minutes=1)
    assert code(shown(application, lists.uri)) == "PRESENTATION_REVOKED"
    assert len(lists.asked) == 2


def test_it_is_not_kept_beyond_its_end(city: City, lists: ListServer) -> None:
    application = trusting(city, lists, f"private:{lists.host}")
    lists.body = token(application, lists.uri, ttl=3600, lives=60)
    assert code(shown(application, lists.uri)) is None
    city.clock.forward(minutes=2)
    lists.body = token(application, lists.uri)
    assert code(shown(application, lists.uri)) is None
    assert len(lists.asked) == 2


def test_a_list_that_says_nothing_is_not_kept(city: City, lists: ListServer) -> None:
    application = trusting(city, lists, f"private:{lists.host}")
    lists.body = token(application, lists.uri + "/other")
    assert code(shown(application, lists.uri)) == "PRESENTATION_STATUS_UNKNOWN"
    lists.body = token(application, lists.uri)
    assert code(shown(application, lists.uri)) is None


def _status(lists: ListServer) -> None:
    lists.status = 404


def _redirect(lists: ListServer) -> None:
    lists.status = 302


def _kind(lists: ListServer) -> None:
    lists.kind = "text/html"


def _slow(lists: ListServer) -> None:
    lists.pause = 1.5


def _flood(lists: ListServer) -> None:
    lists.flood = True


def _junk(lists: ListServer) -> None:
    lists.body = b"\xff" * 100


def _packed(lists: ListServer) -> None:
    lists.encoding = "gzip"
    lists.body = b"\x1f\x8b" + b"x" * 100


@pytest.mark.parametrize("fault", [_status, _redirect, _kind, _slow, _flood, _junk, _packed])
def test_unreachable(city: City, lists: ListServer, fault: Callable[[ListServer], None]) -> None:
    """Never "valid", and said as what it is: nobody knows."""
    application = trusting(city, lists, f"private:{lists.host}")
    lists.body = token(application, lists.uri)
    fault(lists)
    begun = time.monotonic()
    found = shown(application, lists.uri)
    assert code(found) == "PRESENTATION_STATUS_UNKNOWN"
    assert time.monotonic() - begun < 10


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        ({"lives": 0}, "PRESENTATION_STATUS_UNKNOWN"),
        ({"age": -3600}, "PRESENTATION_STATUS_UNKNOWN"),
        ({"uri": "https://elsewhere.example/lists/1"}, "PRESENTATION_STATUS_UNKNOWN"),
    ],
)
def test_lists_that_do_not_count(city: City, lists: ListServer, frame: dict[str, Any], expected: str) -> None:
    application = trusting(city, lists, f"private:{lists.host}")
    lists.body = token(application, **{"uri": lists.uri, **frame})
    assert code(shown(application, lists.uri)) == expected


def test_a_list_by_another_authority(city: City, lists: ListServer) -> None:
    """Who vouches for library cards has no say in identities."""
    application = trusting(city, lists, f"private:{lists.host}")
    with application.reading() as session:
        signer = document_signer(session, application)
    lists.body = token(application, lists.uri, by=signer)
    assert code(shown(application, lists.uri)) == "PRESENTATION_STATUS_UNKNOWN"


@pytest.mark.parametrize("host", ["{host}", "private:localhost", "private:other.example:{port}"])
def test_hosts_that_are_not_listed(
    city: City, lists: ListServer, host: str, caplog: pytest.LogCaptureFixture
) -> None:
    """No address inside by accident, no other port, no other name: nobody is asked."""
    application = trusting(city, lists, host.format(host=lists.host, port=lists.port))
    lists.body = token(application, lists.uri)
    assert code(shown(application, lists.uri)) == "PRESENTATION_STATUS_UNKNOWN"
    assert lists.asked == []
    # The operator learns which host it was.
    told = [(vars(one)["host"], vars(one)["fault"]) for one in caplog.records if "host" in vars(one)]
    assert told == [("localhost", "WEBHOOK_ADDRESS" if host == "{host}" else "WEBHOOK_HOST")]


def test_nobody_is_asked_for_what_does_not_hold(city: City, lists: ListServer) -> None:
    """A stranger cannot make the service call a host, even one that is listed."""
    application = trusting(city, lists, f"private:{lists.host}")
    with application.reading() as session:
        stranger = document_signer(session, application)
    wallet = wallet_of(application)
    place = StatusReference(lists.uri, INDEX)
    made = asked(application, Wish.PROOF_OF_RESIDENCE)
    wallet.held = [pid(application, SD_JWT, identity=stranger, status=place)]
    wallet.answer(wallet.read(made.link))
    assert code(become(application, made)) == "PRESENTATION_UNKNOWN_ISSUER"
    made = asked(application, Wish.PROOF_OF_RESIDENCE)
    wallet.held = [pid(application, SD_JWT, status=place)]
    wallet.answer(wallet.read(made.link), nonce="b" * 22)
    assert code(become(application, made)) == "PRESENTATION_NONCE"
    assert lists.asked == []


def test_our_own_as_the_register_is_now(city: City) -> None:
    """A revocation counts at once, also while a list is being served that was signed before it."""
    application = set_up(city)
    place = own_place(application, CARD)
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT, status=place)]
    for forward in (0, 14, 40):
        city.clock.forward(minutes=forward)
        made = asked(application)
        wallet.answer(wallet.read(made.link))
        assert code(become(application, made)) is None
    here = (EudiCredentialRow.list_index == place.index,)
    with application.writing() as session:
        status_lists.mark(session, application.tenant, here, status_lists.INVALID, only=[status_lists.VALID])
    made = asked(application)
    wallet.answer(wallet.read(made.link))
    assert code(become(application, made)) == "PRESENTATION_REVOKED"


@pytest.mark.parametrize("number", ["", "x", "-1", "1/2", "9" * 11, "٣"])
def test_addresses_that_look_like_ours(city: City, number: str) -> None:
    application = set_up(city)
    uri = f"https://stadtpass.example/eudi/status/{number}"
    wallet = wallet_of(application)
    wallet.held = [own(application, CARD, SD_JWT, status=StatusReference(uri, 1))]
    made = asked(application)
    wallet.answer(wallet.read(made.link))
    assert code(become(application, made)) == "PRESENTATION_STATUS_UNKNOWN"
