"""What is given to be checked on the command line: pictures, texts, files of texts, standard input."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TextIO

from keys.errors import Refusal
from passes.scanned_cards import Delivered, scanned_card
from verifier.image import ImageRefused, looks_like_image, read_codes
from verifier.seal_check import CheckSettings, check_seal
from verifier.trust import Trust
from verifier.verdict import Colour, Reason, Verdict, severity

MAX_LINE = 4096
_FILE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp", ".txt", ".pdf", ".gif", ".bmp", ".tif", ".tiff", ".pkpass")
_NO_TEXT_ENDINGS = (*_FILE_ENDINGS, ".json")


class UsageError(Refusal):
    """What was asked for on the command line cannot be done as asked."""

    package = "verifier"


def verdicts_of(item: str, trust: Trust, at: datetime, settings: CheckSettings) -> Iterator[Verdict]:
    """Check one input at the aware time ``at``: a picture, a text, a file of texts, or - for standard input.

    Raises UsageError for what cannot be read.
    """
    if item == "-":
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        for line in _lines(sys.stdin):
            yield check_seal(line, trust, at, settings)
        return
    file = as_file(item)
    if file is None:
        yield _check_text(item, trust, at, settings)
        return
    try:
        with file.open("rb") as opened:
            start = opened.read(16)
        if looks_like_image(start):
            yield _check_image(file, trust, at, settings)
            return
        if file.suffix.lower() in _NO_TEXT_ENDINGS and file.suffix.lower() != ".txt":
            raise UsageError("NOT_A_PICTURE", file=file)
        with file.open("r", encoding="utf-8-sig", errors="replace", newline=None) as opened:
            for line in _lines(opened):
                yield check_seal(line, trust, at, settings)
    except OSError:
        raise UsageError("FILE_UNREADABLE", file=file) from None


def as_file(item: str) -> Path | None:
    """The file that ``item`` names, None where it is a text. Raises UsageError IS_A_FOLDER, FILE_MISSING."""
    if (
        not item
        or item.startswith(("SP1:", "SP1R:"))
        or "://" in item
        or "\0" in item
        or len(item) > MAX_LINE
    ):
        return None
    path = Path(item)
    try:
        if path.is_file():
            return path
        if path.is_dir():
            raise UsageError("IS_A_FOLDER", file=item)
    except OSError:
        return None
    if path.suffix.lower() in _FILE_ENDINGS:
        raise UsageError("FILE_MISSING", file=item)
    return None


def _lines(source: TextIO) -> Iterator[str]:
    """The lines that are not empty; of a line longer than any seal only the start is kept.

    Raises UsageError NO_INPUT where there is none: among other inputs it would pass unnoticed.
    """
    found = False
    while line := source.readline(MAX_LINE):
        whole = line.endswith("\n")
        while not whole and (rest := source.readline(MAX_LINE)):
            whole = rest.endswith("\n")
        if text := line.rstrip("\r\n"):
            found = True
            yield text
    if not found:
        raise UsageError("NO_INPUT")


def _check_text(text: str, trust: Trust, at: datetime, settings: CheckSettings) -> Verdict:
    bare = text.rstrip("\r\n")
    verdict = check_seal(bare, trust, at, settings)
    if verdict.reason is Reason.NOT_A_SEAL and scanned_card(bare).kind is Delivered.NUMBER:
        # No signature, so nothing to check; but it is no foreign code either, and somebody wants to know what to do.
        return replace(verdict, note="NUMBER_ALONE")
    return verdict


def _check_image(file: Path, trust: Trust, at: datetime, settings: CheckSettings) -> Verdict:
    none = Verdict(Reason.NOT_A_SEAL, at, test=trust.test)
    try:
        codes = read_codes(file)
    except ImageRefused as refused:
        return Verdict(Reason.NOT_A_SEAL, at, test=trust.test, note=refused.code, params=dict(refused.params))
    seals = [code for code in codes if code.startswith(("SP1:", "SP1R:"))]
    if not seals:
        # A foreign code is named as one; a picture without any code asks for a better picture.
        return none if codes else Verdict(Reason.NOT_A_SEAL, at, test=trust.test, note="NO_CODE")
    verdicts = [check_seal(code, trust, at, settings) for code in seals]
    worst = max(verdicts, key=severity)
    if len(verdicts) > 1 and worst.verdict in (Colour.GREEN, Colour.AMBER):
        # Nobody can tell which of several seals belongs to the car, so none of them counts.
        return Verdict(Reason.NOT_A_SEAL, at, test=trust.test, note="SEVERAL_SEALS")
    return worst
