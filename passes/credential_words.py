"""What an EUDI credential of a pass says, for its holder to read before a wallet gets it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date

from keys.texts import texts
from passes.credentials import SourceValue, source_values
from passes.display import composed_lines, day_text
from passes.eudi_spec import CredentialFormat, EudiClaim
from passes.model import City, PassContent
from passes.pass_types import PassType


def credential_lines(
    pass_type: PassType, content: PassContent, city: City, language: str, formats: Iterable[CredentialFormat]
) -> list[tuple[str, str]]:
    """Label and value of everything that the credentials of ``content`` in ``formats`` say, in the type's order.

    What belongs together in one field of the type, such as an address, is one line with that field's label. Left out
    is what this pass has no value for. Raises PassRefusal TYPE_CARRIER for a type that is no EUDI credential.
    """
    wanted = set(formats)
    claims = [one for one in pass_type.eudi.claims if _is_in(one, wanted)]
    # A line for each label and value: two claims may say the same.
    return list(dict.fromkeys(_lines(claims, pass_type, content, city, language)))


def _is_in(claim: EudiClaim, formats: set[CredentialFormat]) -> bool:
    return ("dc+sd-jwt" in formats and bool(claim.path)) or (
        "mso_mdoc" in formats and claim.element is not None
    )


def _lines(
    claims: Sequence[EudiClaim], pass_type: PassType, content: PassContent, city: City, language: str
) -> Iterator[tuple[str, str]]:
    words, values = pass_type.words(language), source_values(city, content)
    fields = {
        name: field
        for field, spec in pass_type.composed.items()
        for name in (one for line in spec.lines for one in line)
    }
    sources = {one.source for one in claims}
    told = {name: value for name, value in content.attributes.items() if name in sources}
    for claim in claims:
        field = fields.get(claim.source or "")
        if field is not None:
            lines = composed_lines(pass_type.composed[field], told)
            label, text = words.labels[field], ", ".join(lines)
        elif claim.source is not None:
            choices = words.choices.get(claim.source, {})
            label, text = words.eudi[claim.key], _text(values.get(claim.source), choices, language)
        elif claim.value is not None and not any(isinstance(one, int) for one in claim.path):
            label, text = words.eudi[claim.key], claim.value
        else:
            # An object around others, or which of several in an array it is: the label of the field says so.
            continue
        if text:
            yield label, text


def _text(value: SourceValue, choices: dict[str, str], language: str) -> str:
    match value:
        case None:
            return ""
        case bool():
            return texts("passes", language)("YES" if value else "NO")
        case date():
            return day_text(value, language)
        case list():
            return ", ".join(value)
        case _:
            return choices.get(str(value), str(value))
