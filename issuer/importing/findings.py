"""What an import has to say about a file: one finding for each fault, with its place and its remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as with_default
from enum import StrEnum

from issuer.errors import IssuerRefusal
from keys.errors import Refusal
from keys.texts import texts


class Severity(StrEnum):
    """An error keeps the row, or the file, out of the register; a warning does not."""

    ERROR = "error"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. ``row`` counts data rows from 1, ``line`` the lines of the file from 1.

    ``field`` is the column's name as the file has it. The sentence is ``text`` (default: the code) in the
    catalogue of ``package``, filled with ``params``, ``row``, ``line`` and ``field``; a param that is a refusal
    stands for its sentence.
    """

    row: int | None
    line: int | None
    field: str | None
    severity: Severity
    code: str
    params: Mapping[str, object] = with_default(default_factory=dict)
    package: str = "issuer"
    text: str | None = None

    def sentence(self, language: str = "de") -> str:
        """The finding as one sentence, in ``de`` or ``en`` (any other: ``de``)."""
        place = {"row": self.row, "line": self.line, "field": self.field}
        known = {name: value for name, value in place.items() if value is not None}
        facts = {
            name: value.sentence(language) if isinstance(value, Refusal) else value
            for name, value in self.params.items()
        }
        return texts(self.package, language)(self.text or self.code, **{**place, **facts, **known})


def of_refusal(row: int, line: int, field_name: str, refusal: Refusal) -> Finding:
    """The error that a value's refusal is for its row."""
    return Finding(
        row, line, field_name, Severity.ERROR, refusal.code, refusal.params, refusal.package, refusal.text
    )


class FileRefused(IssuerRefusal):
    """The whole file is refused and nothing of it enters the register.

    ``line`` counts from 1, ``offset`` are bytes from the start of the file; both are None where the fault has
    no place.
    """

    def __init__(
        self,
        code: str,
        /,
        *,
        text: str | None = None,
        line: int | None = None,
        field_name: str | None = None,
        **params: object,
    ) -> None:
        super().__init__(code, **params)
        self.text = text or code
        self.line = line
        self.field_name = field_name

    def sentence(self, language: str = "de") -> str:
        """The refusal as one sentence with its remedy."""
        return self.finding().sentence(language)

    def finding(self) -> Finding:
        """The one line that the report has for the file."""
        return Finding(
            None, self.line, self.field_name, Severity.ERROR, self.code, self.params, self.package, self.text
        )
