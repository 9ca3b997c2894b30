"""The errors people see: a stable code, the facts of the case, and a sentence in their language."""

from __future__ import annotations

from typing import ClassVar

from keys.texts import day_as_read, texts


class Refusal(Exception):
    """Something that was asked for and is refused, with a code that never changes its meaning.

    ``params`` fill the sentence of the catalogue of ``package``; they must not hold secrets, because
    sentences are shown and logged. A day among them (ISO 8601, as text) stands in the sentence as its language writes
    days, but for ``example``, which says what to type. Internal faults are ordinary exceptions, never this one.
    """

    package: ClassVar[str] = "keys"
    #: The sentence of the catalogue where it is not the code's own: one code may have several sentences.
    text: str | None = None

    def __init__(self, code: str, /, **params: object) -> None:
        super().__init__(code)
        self.code = code
        self.params = params

    def sentence(self, language: str = "de") -> str:
        """The refusal as one sentence with its remedy, in ``de`` or ``en`` (any other: ``de``)."""
        facts = {
            name: value if name == "example" else day_as_read(value, language)
            for name, value in self.params.items()
        }
        return texts(self.package, language)(self.text or self.code, **facts)

    def __str__(self) -> str:
        return f"{self.code}: {self.sentence('en')}"


class KeyRefusal(Refusal):
    """A key, certificate or keystore cannot do what was asked."""
