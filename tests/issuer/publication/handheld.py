"""A handheld that fetches what the service serves, as its guide says, and checks with the verifier."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from litestar import Litestar
from litestar.testing import TestClient

from issuer import lifecycle
from issuer.application import Application
from issuer.lifecycle import Actor, Changes
from issuer.pass_view import show
from issuer.verifier_devices import Role, add_device
from passes.list_index import read_index, verified_index
from passes.model import RegisteredPlate
from passes.plates import Plate
from tests.service import PERMIT
from verifier.plate_check import check_plate
from verifier.seal_check import CheckSettings, check_seal
from verifier.state import State
from verifier.trust import Trust, load_trust

Http = TestClient[Litestar]


@dataclass
class Handheld:
    """Fetches into ``folder`` with ``token`` and never forgets what it has seen."""

    folder: Path
    token: str
    state: State = field(default_factory=State)
    etags: dict[str, str] = field(default_factory=dict)

    def sync(self, http: Http) -> list[int]:
        """Fetch everything, the index before the lists that it names; returns the statuses of the answers."""
        (self.folder / "status").mkdir(parents=True, exist_ok=True)
        answers = [self._fetch(http, f"/lists/{name}", name) for name in ("root.pub", "bundle.cwt")]
        answers.append(self._fetch(http, "/lists/index.cwt", "index.new"))
        trust = load_trust(self.folder, State())
        unverified = read_index((self.folder / "index.new").read_bytes())
        key = trust.list_key(unverified)
        assert key is not None
        for number in verified_index(unverified, key).lists:
            answers.append(self._fetch(http, f"/status/{number}", f"status/{number}.cwt"))
        answers.append(self._fetch(http, "/lists/plates.cwt", "plates.cwt"))
        (self.folder / "index.cwt").write_bytes((self.folder / "index.new").read_bytes())
        return answers

    def _fetch(self, http: Http, path: str, name: str) -> int:
        headers = {"If-None-Match": self.etags[name]} if name in self.etags else {}
        if name == "plates.cwt":
            headers["Authorization"] = f"Bearer {self.token}"
        answer = http.get(path, headers=headers)
        if answer.status_code == 200:
            (self.folder / name).write_bytes(answer.content)
            self.etags[name] = answer.headers["etag"]
        return answer.status_code

    def trust(self) -> Trust:
        return load_trust(self.folder, self.state)

    def reason(self, application: Application, seal: str) -> str:
        return check_seal(seal, self.trust(), application.now(), CheckSettings()).reason.name

    def plate(self, application: Application, plate: str) -> str:
        verdict = check_plate(plate, self.trust(), application.now(), CheckSettings(), "de")
        return verdict.reason.name


def enrol(application: Application, folder: Path, role: Role = Role.WARDEN) -> Handheld:
    with application.writing() as session:
        device = add_device(session, application, "Gerät 7", role, (), actor="test")
    return Handheld(folder, device.token)


def seal_of(application: Application, number: str, type_id: str = PERMIT) -> str:
    with application.reading() as session:
        pass_type = application.pass_types[type_id]
        return show(session, application.tenant, pass_type, number).content.seal


def plates_of(application: Application, number: str) -> list[str]:
    with application.reading() as session:
        pass_type = application.pass_types[PERMIT]
        content = show(session, application.tenant, pass_type, number).content
        plates = content.attributes["plates"]
        assert isinstance(plates, tuple)
        return [one.plate.canonical for one in plates]


def actor(application: Application) -> Actor:
    return Actor("test", application.now(), "why")


def revoke(application: Application, number: str, type_id: str = PERMIT) -> None:
    with application.writing() as session:
        lifecycle.revoke(session, application.tenant, type_id, number, actor=actor(application))


def suspend(application: Application, number: str) -> None:
    with application.writing() as session:
        lifecycle.suspend(session, application.tenant, PERMIT, number, actor=actor(application))


def resume(application: Application, number: str) -> None:
    with application.writing() as session:
        lifecycle.resume(session, application.tenant, PERMIT, number, actor=actor(application))


def change_plate(application: Application, number: str, plate: Plate) -> None:
    pass_type = application.pass_types[PERMIT]
    with application.writing() as session:
        lifecycle.change(
            session,
            application.tenant,
            pass_type,
            number,
            Changes(plates=(RegisteredPlate(plate, None),)),
            seal_for=application.sealer(session, pass_type),
            actor=actor(application),
        )
