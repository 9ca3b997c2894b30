"""A register of the sample city, and shortcuts to load files into it."""

import csv
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from issuer.database import create_register, reading, sqlite_url, writing
from issuer.importing.check_file import CheckedFile, check_rows
from issuer.importing.findings import Finding
from issuer.importing.rows import parse_rows, read_rows
from issuer.register import insert_passes
from issuer.settings import Settings, create_tenant
from issuer.tariffs import fees_from_csv, zones_from_csv
from passes.model import Attribute
from passes.pass_types import PassTypes
from passes.periods import BERLIN, Period

SAMPLES = Path(__file__).parents[1] / "data" / "samples"
TODAY = datetime(2026, 11, 20, 12, tzinfo=BERLIN)
TYPES = PassTypes.load()
PERMIT = TYPES["resident-parking-permit"]
CARD = TYPES["library-card"]
KID = "00112233aabbccdd"


def seal_for(
    number: str, period: Period, attributes: Mapping[str, Attribute], place: tuple[int, int]
) -> tuple[str, str]:
    """A stand-in for sealing: a text that names the place, so that tests can tell two seals apart."""
    return KID, f"SP1:{number}/{place[0]}/{place[1]}"


@dataclass(frozen=True, slots=True)
class SampleRegister:
    """The register of the tenants ``duesseldorf`` and ``neuss``; both have the sample's zones."""

    engine: Engine
    tenant: str = "duesseldorf"

    def reading(self) -> AbstractContextManager[Session]:
        return reading(self.engine)

    def writing(self) -> AbstractContextManager[Session]:
        return writing(self.engine)

    def check(
        self, name: str, at: datetime = TODAY, encoding: str | None = None, tenant: str = ""
    ) -> CheckedFile:
        """Check a sample file as `issue --dry-run` does."""
        pass_type = CARD if name.startswith("library") else PERMIT
        file = read_rows(SAMPLES / name, pass_type, encoding)
        with self.reading() as session:
            return check_rows(session, tenant or self.tenant, pass_type, file, at)

    def load(
        self, name: str, at: datetime = TODAY, encoding: str | None = None, tenant: str = ""
    ) -> CheckedFile:
        """Check a sample file and enter what is accepted."""
        checked = self.check(name, at, encoding, tenant)
        self.enter(checked, at, tenant)
        return checked

    def enter(self, checked: CheckedFile, at: datetime = TODAY, tenant: str = "") -> list[str]:
        with self.writing() as session:
            return insert_passes(
                session, tenant or self.tenant, checked.accepted, seal_for, at=at, actor="clerk"
            )

    def check_text(self, text: str, pass_type: object = PERMIT, at: datetime = TODAY) -> CheckedFile:
        """Check a file given as text."""
        chosen = CARD if pass_type is CARD else PERMIT
        with self.reading() as session:
            return check_rows(session, self.tenant, chosen, parse_rows(text.encode(), chosen), at)


@contextmanager
def sample_register(place: Path | str, *, fees: bool = True) -> Iterator[SampleRegister]:
    """A fresh register in the folder or at the URL ``place``."""
    engine = create_register(place if isinstance(place, str) else sqlite_url(place))
    with writing(engine) as session:
        for tenant in ("duesseldorf", "neuss"):
            create_tenant(session, tenant, Settings(city_name=tenant), TODAY)
            zones_from_csv(session, tenant, SAMPLES / "zones.csv")
            if fees:
                fees_from_csv(session, tenant, SAMPLES / "fees.csv")
    yield SampleRegister(engine)
    engine.dispose()


def sample_rows(name: str) -> list[dict[str, str]]:
    """The rows of a sample file in UTF-8."""
    return list(csv.DictReader((SAMPLES / name).read_text("utf-8").splitlines(), delimiter=";"))


def places(findings: tuple[Finding, ...]) -> list[tuple[int | None, str | None, str, str]]:
    """What the findings say, without sentences."""
    return [(one.row, one.field, one.severity.value, one.code) for one in findings]


def row_text(name: str, row: int = 1, **changed: str) -> str:
    """Header and one data row of a sample file, with some cells changed."""
    lines = (SAMPLES / name).read_text("utf-8").splitlines()
    header, cells = lines[0].split(";"), lines[row].split(";")
    for column, value in changed.items():
        cells[header.index(column)] = value
    return f"{lines[0]}\n{';'.join(cells)}\n"
