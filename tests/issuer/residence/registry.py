"""A city with a register of residents, and people in it; all fictional."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

from issuer.application import Application
from issuer.holder_changes import RESIDENCE
from issuer.residence.issuing import Asked, issue, look_up
from issuer.rules.sources.protocols import Resident
from tests.issuer.eudi.conftest import set_up
from tests.service import City

FILE = "sources/residents.csv"
HEAD = (
    "person_id;family_name;given_name;usual_given_name;former_names;doctoral_degree;birth_date;street;house_number;"
    "postal_code;city;residence;blocked;moved_out"
)
ERIKA = ("1", "Müller-Đặng", "Şeyma Quirina", "Quirina", "Mustermann", "Dr.", "1984-02-29")
HOME = ("Ährengässchen", "17 c", "40999", "", "main", "", "")
SECOND = ("Übermühlgasse", "1", "50999", "Köln", "secondary", "", "")
BLOCKED = (
    "2",
    "Geheim",
    "Berta",
    "",
    "",
    "",
    "1990-05-03",
    "Lohweilerplatz",
    "1",
    "40231",
    "",
    "main",
    "yes",
    "",
)
NEW_HOME = ("Pastorswiesenring", "31", "40474", "", "main", "", "")
ASKED = Asked("Müller-Đặng", "Quirina", date(1984, 2, 29), "Aehrengaesschen", "17c")
SECRETS = ("Müller-Đặng", "Şeyma", "Quirina", "1984-02-29", "Ährengässchen", "40999", "Übermühlgasse")


def write_register(folder: Any, *rows: tuple[str, ...]) -> None:
    lines = [HEAD, *(";".join(one) for one in rows)]
    # As whoever exports it should do: beside it, and renamed.
    (folder / "sources/residents.new").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "sources/residents.new").rename(folder / FILE)


def registry(city: City) -> Application:
    """The service of a demo city, which has connected a register of residents, issuing into EUDI Wallets."""
    write_register(city.folder, ERIKA + HOME, ERIKA + SECOND, BLOCKED)
    return set_up(city)


def named(text: str, *more: str) -> list[str]:
    """What of the person, and of ``more``, stands in ``text``; digits inside of random numbers do not count."""
    return [
        one
        for one in (*SECRETS, *more)
        if re.search(rf"(?<![0-9A-Za-z]){re.escape(one)}(?![0-9A-Za-z])", text)
    ]


def issued(application: Application, asked: Asked = ASKED, **more: str) -> str:
    """The number of a certificate of what the register says of ``asked``."""
    resident = look_up(application, asked)
    assert isinstance(resident, Resident)
    with application.writing() as session:
        return issue(session, application, resident, actor="test", **more).number


__all__ = ["ASKED", "BLOCKED", "ERIKA", "HOME", "NEW_HOME", "RESIDENCE", "SECOND", "SECRETS"]
