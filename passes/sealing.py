"""Which values of a revision go into its seal, and under which keys: the pass type's data file decides."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from passes.card_numbers import CardNumber
from passes.display import composed_lines
from passes.model import Attribute
from passes.pass_types import PassType
from passes.periods import Period
from passes.plates import Plate
from passes.seal import SealContent, SealedPerson, seconds
from passes.seasons import Season
from passes.type_file import AttributeSpec
from passes.zones import Zone


def seal_content(
    pass_type: PassType,
    number: str,
    period: Period,
    attributes: Mapping[str, Attribute],
    *,
    issued_at: datetime,
    status_list: int,
    status_index: int,
) -> SealContent:
    """The content of the seal for one revision; ``issued_at`` is aware.

    Names, addresses and whatever else has no ``seal_key`` stays out. Raises ValueError for an attribute
    whose kind has no form in a seal.
    """
    plates: tuple[Plate, ...] = ()
    seasons: tuple[Season | None, ...] = ()
    zone = organisation = card_number = None
    further: dict[int, int | str | bool] = {}
    for name, spec in pass_type.attributes.items():
        value = attributes.get(name)
        if spec.seal_key is None or value is None or value == ():
            continue
        if isinstance(value, tuple):
            plates = tuple([one.plate for one in value])
            seasons = tuple([one.season for one in value])
        elif isinstance(value, Zone):
            zone = value.code
        elif isinstance(value, CardNumber):
            card_number = value.text
        elif spec.kind == "organisation":
            organisation = str(value) or None
        elif (plain := _further(spec, value)) != "":
            further[spec.seal_key] = plain
    return SealContent(
        type_code=pass_type.seal_code,
        number=number,
        issued_at=seconds(issued_at),
        not_before=seconds(period.starts_at),
        expires=seconds(period.ends_at),
        status_list=status_list,
        status_index=status_index,
        plates=plates,
        seasons=seasons,
        zone=zone,
        organisation=organisation,
        card_number=card_number,
        further=further,
        person=_person(pass_type, attributes),
    )


def _person(pass_type: PassType, attributes: Mapping[str, Attribute]) -> SealedPerson | None:
    """Whom a proof is about; None for a type that stands for a right. Raises ValueError without a birth date."""
    spec = pass_type.spec.person
    if spec is None:
        return None
    born = attributes.get(spec.birth_date)
    if not isinstance(born, date):
        raise ValueError(f"{pass_type.id} without {spec.birth_date}")
    names = (str(attributes[name]) for name in spec.full_name if attributes.get(name))
    return SealedPerson(" ".join(names), born, composed_lines(pass_type.composed[spec.address], attributes))


def _further(spec: AttributeSpec, value: Attribute) -> int | str | bool:
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, date):
        return value.isoformat()
    raise ValueError(f"attribute {spec.name} has no form in a seal")
