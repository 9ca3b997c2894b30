"""Permit kinds as data with dates: plates, terms, checks and their evidence, four eyes, limits.

What ships with Stadtpass stands in ``data/<pass type>.toml``. A city overrides values from a day on; its changes are
rows of the register (`issuer.rules.changes`), laid over the shipped table in the order of their days.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Final, Literal

import msgspec
from sqlalchemy import select
from sqlalchemy.orm import Session

from issuer.errors import IssuerRefusal
from issuer.models_rules import RuleChangeRow

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
_Months = Annotated[int, msgspec.Meta(ge=1, le=120)]
_Days = Annotated[int, msgspec.Meta(ge=1, le=3660)]
_Label = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Channel = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9]{1,20}\Z")]


class Check(StrEnum):
    """What can be checked about an application; `issuer.rules.eligibility` knows how."""

    RESIDENCE = "residence"
    KEEPER = "keeper"
    OTHER_KEEPER = "other_keeper"
    ONE_PERMIT = "one_permit"
    JUSTIFICATION = "justification"
    ORGANISATION = "organisation"
    GERMAN_REGISTRATION = "german_registration"
    NO_GARAGE = "no_garage"


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class KindRules(_Strict, frozen=True):
    """The rules of one permit kind on a day. ``checks`` names the evidence types that each check accepts."""

    id: _Id
    plates: Annotated[int, msgspec.Meta(ge=0, le=8)]
    organisation: bool
    terms: Annotated[tuple[_Months, ...], msgspec.Meta(min_length=1, max_length=12)]
    channels: Annotated[tuple[_Channel, ...], msgspec.Meta(min_length=1, max_length=8)]
    second_person: bool
    residence: Literal["main", "main_or_secondary"]
    plate_changes_per_year: Annotated[int, msgspec.Meta(ge=0, le=366)]
    renewal_opens_days: _Days
    checks: dict[Check, Annotated[tuple[_Id, ...], msgspec.Meta(max_length=20)]]


class EvidenceType(_Strict, frozen=True):
    """A kind of evidence, as applicants and clerks read it."""

    de: _Label
    en: _Label

    def label(self, language: str = "de") -> str:
        """The name in ``de`` or ``en`` (any other: ``de``)."""
        return self.en if language == "en" else self.de


class _File(_Strict, frozen=True):
    kinds: tuple[KindRules, ...] = ()
    evidence: dict[_Id, EvidenceType] = {}


@dataclass(frozen=True, slots=True)
class Override:
    """Values of a kind that a city changes from ``valid_from`` on; `KindRules` names them."""

    kind: str
    valid_from: date
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class KindTable:
    """The permit kinds of one pass type in a city, over time; empty for a type that has none."""

    shipped: Mapping[str, KindRules]
    evidence: Mapping[str, EvidenceType]
    overrides: tuple[Override, ...] = ()

    def on(self, day: date) -> dict[str, KindRules]:
        """The rules of every kind on ``day``, by id. Raises IssuerRefusal KIND_RULES for an unusable override."""
        rules = dict(self.shipped)
        for one in sorted(self.overrides, key=lambda override: override.valid_from):
            if one.valid_from <= day and one.kind in rules:
                rules[one.kind] = patched(rules[one.kind], one.values)
        return rules

    def rules(self, kind: str, day: date) -> KindRules:
        """The rules of ``kind`` on ``day``. Raises IssuerRefusal KIND_UNKNOWN, KIND_RULES."""
        found = self.on(day).get(kind)
        if found is None:
            raise IssuerRefusal("KIND_UNKNOWN", kind=kind, known=", ".join(sorted(self.shipped)) or "–")
        return found


def patched(rules: KindRules, values: Mapping[str, Any]) -> KindRules:
    """``rules`` with other ``values``, checked as a whole. Raises IssuerRefusal KIND_RULES."""
    try:
        changed = msgspec.convert({**msgspec.to_builtins(rules), **values}, KindRules)
    except (msgspec.ValidationError, TypeError) as fault:
        raise IssuerRefusal("KIND_RULES", kind=rules.id, fault=str(fault)) from fault
    if changed.id != rules.id:
        raise IssuerRefusal("KIND_RULES", kind=rules.id, fault="id")
    return changed


def kind_table(session: Session, tenant: str, type_id: str) -> KindTable:
    """The permit kinds of ``type_id`` as ``tenant`` has them."""
    shipped = _shipped(type_id)
    overrides: list[Override] = []
    evidence = dict(shipped.evidence)
    for row in _changes(session, tenant):
        of_type, _, name = row.target.partition("/")
        if of_type != type_id:
            continue
        if row.subject == "evidence":
            evidence[name] = msgspec.convert(row.content, EvidenceType)
        else:
            values = {key: value for key, value in row.content.items() if key not in _FORMER}
            overrides.append(Override(name, row.valid_from, values))
    return KindTable({one.id: one for one in shipped.kinds}, evidence, tuple(overrides))


def target_of(type_id: str, name: str) -> str:
    """By which a change names a kind or an evidence type of a pass type."""
    return f"{type_id}/{name}"


def _changes(session: Session, tenant: str) -> Iterable[RuleChangeRow]:
    return session.scalars(
        select(RuleChangeRow)
        .where(
            RuleChangeRow.tenant == tenant,
            RuleChangeRow.subject.in_(("kind", "evidence")),
            RuleChangeRow.undone_at.is_(None),
        )
        .order_by(RuleChangeRow.valid_from, RuleChangeRow.made_at, RuleChangeRow.id)
    )


_DATA: Final = "issuer.rules"
# Deletion periods stood here once; the night's work goes by ``[retention]`` of the configuration alone.
_FORMER: Final = frozenset({"evidence_kept_days", "unfinished_kept_months"})


@lru_cache(maxsize=16)
def _shipped(type_id: str) -> _File:
    file = files(_DATA).joinpath("data", f"{type_id}.toml")
    if not file.is_file():
        return _File()
    # A fault in what ships with Stadtpass is ours: the exception is meant to be seen.
    return msgspec.convert(tomllib.loads(file.read_text("utf-8")), _File)
