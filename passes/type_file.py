"""What the files of a pass type may say, read strictly: ``type.toml``, and the words in each language."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from passes.eudi_spec import EudiSpec

_Id = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9-]{1,39}\Z")]
_Key = Annotated[str, msgspec.Meta(pattern=r"\A[a-z][a-z0-9_]{0,39}\Z")]
_Colour = Annotated[str, msgspec.Meta(pattern=r"\A#[0-9a-f]{6}\Z")]
_Length = Annotated[int, msgspec.Meta(ge=1, le=2000)]

AttributeKind = Literal[
    "plates", "zone", "organisation", "choice", "card_number", "text", "integer", "date", "yes_no"
]
ColumnKind = Literal[
    "number", "reference", "name", "organisation", "address", "email", "language", "text", "date",
    "integer", "cents", "choice", "yes_no", "zone", "plate", "season", "card_number", "card_scheme",
    "symbology",
]  # fmt: skip
# Where a type can live; every type has a seal.
CarrierName = Literal["apple", "google", "pdf", "seal", "eudi"]
# Body keys that every seal has: type code, pass number, status reference.
RESERVED_SEAL_KEYS = frozenset({0, 1, 7})
# What can stand on a carrier besides the attributes.
BUILT_IN_FIELDS = frozenset(
    {
        "number", "valid_from", "valid_until", "vehicle", "zone_code", "display_hint", "contact", "reminder",
        "standing",
    }
)  # fmt: skip
# What a certificate says besides its values: texts of the type.
CERTIFICATE_TEXTS = ("certificate_opening", "certificate_further")
# What a pass says on its face while it does not hold: texts of the type, by the pass's status.
STANDINGS = ("standing_suspended", "standing_revoked", "standing_superseded")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    pass


class Colours(_Strict, frozen=True):
    """The colours of a pass as ``#rrggbb``."""

    background: _Colour
    foreground: _Colour
    label: _Colour


class AttributeSpec(_Strict, frozen=True):
    """One value that a pass of the type carries; ``seal_key`` puts it into the seal's body."""

    name: _Key
    kind: AttributeKind
    seal_key: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    season_seal_key: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    required: bool = False
    choices: tuple[_Key, ...] = ()
    max_length: _Length = 120


class FieldSpec(_Strict, frozen=True):
    """Where a value stands on each carrier."""

    key: _Key
    apple: Literal["header", "primary", "secondary", "auxiliary", "back", "none"] = "none"
    google: Literal["header", "row1", "row2", "row3", "text", "none"] = "none"
    pdf: Literal["large", "small", "none"] = "none"
    change_message: bool = False


class AppleSpec(_Strict, frozen=True):
    """How the type looks as an Apple pass. A barcode is ``seal:FORMAT`` or ``number:FORMAT``, in order.

    Where the type has a code of its number as well and the city shows that one, the barcodes are not asked: the
    card's own symbology says which.
    """

    style: Literal["generic", "storeCard", "eventTicket", "coupon"]
    barcodes: tuple[Annotated[str, msgspec.Meta(pattern=r"\A(seal|number):[A-Za-z0-9]+\Z")], ...]
    sharing_prohibited: bool = True


class GoogleSpec(_Strict, frozen=True):
    """How the type looks as a Google generic pass; ``barcode`` as in `AppleSpec`."""

    generic_type: Annotated[str, msgspec.Meta(pattern=r"\AGENERIC_[A-Z_]+\Z")]
    barcode: Annotated[str, msgspec.Meta(pattern=r"\A(seal|number):[A-Za-z0-9]+\Z")] = "seal:QR"


class PdfSpec(_Strict, frozen=True):
    """Which documents the PDF holds.

    A certificate has the values of the type's fields; those in ``further`` stand apart under a title of their own.
    """

    documents: tuple[Literal["windscreen-card", "letter", "certificate"], ...]
    further: tuple[_Key, ...] = ()

    @property
    def is_sealed(self) -> bool:
        """Whether the file gets an electronic seal where the city can give it one."""
        return "certificate" in self.documents


class ComposedSpec(_Strict, frozen=True):
    """A value made of several attributes: ``lines`` of names, each line's values parted by spaces."""

    name: _Key
    lines: tuple[tuple[_Key, ...], ...]


class PersonSpec(_Strict, frozen=True):
    """A type that says who somebody is: what its seal has in claim 169. Such a type is never a wallet pass."""

    full_name: tuple[_Key, ...]
    birth_date: _Key
    address: _Key


class ColumnSpec(_Strict, frozen=True):
    """A column of the register's CSV file; ``attribute`` says which attribute it feeds."""

    name: _Key
    kind: ColumnKind
    required: bool = False
    attribute: _Key | None = None
    choices: tuple[str, ...] = ()
    max_length: _Length = 200
    minimum: int = 0
    maximum: int = 10_000_000


class RegisterSpec(_Strict, frozen=True):
    """How rows of this type come in: columns, the named checks that apply, and a legacy layout."""

    number_column: _Key
    columns: tuple[ColumnSpec, ...]
    checks: tuple[_Key, ...] = ()
    legacy: str | None = None


_Age = Annotated[int, msgspec.Meta(ge=0, le=120)]


class CategorySpec(_Strict, frozen=True):
    """A category of members. ``from_age`` and ``below_age`` are completed years of life; without them, any age.

    ``birth_date`` says whether one must be given; institutions have none. ``pays`` is whether the category has a fee
    at all, ``proof`` whether a reduction must be proven when the card is given out.
    """

    name: _Key
    from_age: _Age | None = None
    below_age: _Age | None = None
    birth_date: Literal["required", "none"] = "required"
    pays: bool = False
    proof: bool = False

    def fits(self, age: int) -> bool:
        """Whether somebody of ``age`` completed years may be in the category."""
        return (self.from_age is None or age >= self.from_age) and (
            self.below_age is None or age < self.below_age
        )


class MembershipSpec(_Strict, frozen=True):
    """The rules of a library's membership.

    Below the age ``consent_under`` a parent consents, whoever has ``full_age`` can be a guardian, and nobody pays
    until the birthday ``free_until``.
    """

    consent_under: _Age
    full_age: _Age
    free_until: _Age
    categories: Annotated[tuple[CategorySpec, ...], msgspec.Meta(min_length=1, max_length=20)]

    def category(self, name: str) -> CategorySpec | None:
        """The category ``name``, if there is one."""
        return next((one for one in self.categories if one.name == name), None)


class TypeTexts(_Strict, frozen=True):
    """The words of a type in one language."""

    name: str
    description: str
    labels: dict[str, str]
    texts: dict[str, str] = {}
    choices: dict[str, dict[str, str]] = {}
    changes: dict[str, str] = {}
    eudi: dict[str, str] = {}


class TypeFile(_Strict, frozen=True):
    """Everything that ``type.toml`` says."""

    id: _Id
    seal_code: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    stands_in_car: bool
    colours: Colours
    attributes: tuple[AttributeSpec, ...]
    fields: tuple[FieldSpec, ...]
    register: RegisterSpec
    carriers: tuple[CarrierName, ...] | None = None
    apple: AppleSpec | None = None
    google: GoogleSpec | None = None
    pdf: PdfSpec | None = None
    eudi: EudiSpec | None = None
    # The codes that a pass has: wallets show one, by the city's setting; print and pick-up page show all.
    codes: tuple[Literal["seal", "number"], ...] = ("seal",)
    membership: MembershipSpec | None = None
    composed: tuple[ComposedSpec, ...] = ()
    person: PersonSpec | None = None

    @property
    def made_for(self) -> frozenset[CarrierName]:
        """The carriers that the file has a section for, and the seal."""
        sections: dict[CarrierName, object] = {
            "apple": self.apple, "google": self.google, "pdf": self.pdf, "eudi": self.eudi
        }  # fmt: skip
        return frozenset({"seal", *(name for name, section in sections.items() if section is not None)})
