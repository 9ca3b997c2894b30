"""Documents that strangers send: what is kept of them, what is refused, and that nobody else can read it."""

from __future__ import annotations

import io
import struct
import zlib

import pypdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pypdf.generic import DictionaryObject, NameObject, TextStringObject
from sqlalchemy import select, update

from issuer.application import Application
from issuer.cases import evidence
from issuer.cases.evidence import Document, examine
from issuer.cases.evidence_process import LARGEST_FILE
from issuer.errors import IssuerRefusal
from issuer.models_cases import CaseEvidenceRow
from tests.issuer.cases.office import Office


def picture(kind: str, size: tuple[int, int] = (1200, 800), **more: object) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, "navy").save(out, kind, **more)
    return out.getvalue()


def document(pages: int = 1, password: str = "", script: str = "") -> bytes:
    writer = pypdf.PdfWriter()
    for _ in range(pages):
        writer.add_blank_page(595, 842)
    if script:
        action = {NameObject("/S"): NameObject("/JavaScript"), NameObject("/JS"): TextStringObject(script)}
        writer.root_object[NameObject("/OpenAction")] = DictionaryObject(action)
        writer.add_attachment("virus.exe", b"MZ")
    if password:
        writer.encrypt(password)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def code_of(data: bytes) -> str:
    with pytest.raises(IssuerRefusal) as refused:
        examine(data)
    return refused.value.code


def test_a_photo_is_drawn_anew_upright_and_without_its_place() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    exif[0x010E] = "Pastorswiesenring 31"
    exif.get_ifd(0x8825)[1] = "N"
    kept = examine(picture("JPEG", (1200, 800), exif=exif))
    assert kept.media_type == "image/jpeg"
    with Image.open(io.BytesIO(kept.data)) as seen:
        assert seen.size == (800, 1200)
        assert not seen.getexif()
    assert b"Pastorswiesenring" not in kept.data


def test_a_large_photo_gets_smaller_and_a_transparent_one_white() -> None:
    with Image.open(io.BytesIO(examine(picture("JPEG", (6000, 4000))).data)) as seen:
        assert max(seen.size) == 2400
    out = io.BytesIO()
    Image.new("RGBA", (60, 60), (0, 0, 0, 0)).save(out, "PNG")
    with Image.open(io.BytesIO(examine(out.getvalue()).data)) as seen:
        assert seen.getpixel((30, 30)) == (255, 255, 255)


def test_a_pdf_becomes_pictures_of_its_pages() -> None:
    kept = examine(document(3, script="app.alert('x')"))
    assert kept.media_type == "application/pdf"
    read = pypdf.PdfReader(io.BytesIO(kept.data))
    assert len(read.pages) == 3
    assert [round(value) for value in read.pages[0].mediabox[2:]] == [595, 842]
    assert not read.attachments
    assert all(
        word not in kept.data for word in (b"/JavaScript", b"/JS", b"EmbeddedFile", b"virus", b"alert")
    )


def bomb() -> bytes:
    """A PNG of a few kilobytes with 60,000 by 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    lines = zlib.compress(bytes(2_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "EVIDENCE_KIND"),
        (b"MZ\x90\x00", "EVIDENCE_KIND"),
        (b"<svg onload=alert(1)>", "EVIDENCE_KIND"),
        (picture("GIF"), "EVIDENCE_KIND"),
        (picture("JPEG")[:300], "EVIDENCE_DAMAGED"),
        (b"%PDF-1.7\n%%EOF", "EVIDENCE_DAMAGED"),
        (document(11), "EVIDENCE_PAGES"),
        (document(password="geheim"), "EVIDENCE_PROTECTED"),
        (bomb(), "EVIDENCE_PIXELS"),
        (b"\xff\xd8\xff" + bytes(LARGEST_FILE), "EVIDENCE_TOO_LARGE"),
    ],
    ids=["empty", "program", "svg", "gif", "cut", "no pdf", "pages", "password", "bomb", "large"],
)
def test_what_is_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


@settings(max_examples=25)
@given(st.data())
def test_a_damaged_file_is_refused_or_drawn_anew(data: st.DataObject) -> None:
    whole = bytearray(
        data.draw(st.sampled_from([picture("JPEG", (90, 60)), picture("PNG", (90, 60)), document()]))
    )
    for _ in range(data.draw(st.integers(1, 8))):
        whole[data.draw(st.integers(8, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        kept = examine(bytes(whole))
    except IssuerRefusal as refusal:
        assert refusal.code.startswith("EVIDENCE_")
    else:
        assert kept.media_type in ("image/jpeg", "application/pdf")


PAPER = Document("image/jpeg", picture("JPEG", (90, 60)))


def test_it_is_stored_encrypted_and_comes_back(application: Application) -> None:
    office = Office(application)
    case = office.draft()
    with application.writing() as session:
        identity = evidence.store(session, application, case.id, "residence", PAPER, application.now())
    with application.reading() as session:
        row = session.scalars(select(CaseEvidenceRow)).one()
        assert PAPER.data[:64] not in row.data
        assert evidence.load(session, application, case.id, identity) == PAPER


def test_nobody_elses_document_opens(application: Application, neighbour: Application) -> None:
    office = Office(application)
    first, second = office.draft(), office.draft()
    with application.writing() as session:
        identity = evidence.store(session, application, first.id, "residence", PAPER, application.now())
    for who, case in ((application, second), (neighbour, first)):
        with who.reading() as session, pytest.raises(IssuerRefusal) as refused:
            evidence.load(session, who, case.id, identity)
        assert refused.value.code == "DOCUMENT_UNKNOWN"
    # Moved to another case within the database, it does not open either.
    with application.writing() as session:
        session.execute(update(CaseEvidenceRow).values(case_id=second.id))
    with application.reading() as session, pytest.raises(IssuerRefusal) as refused:
        evidence.load(session, application, second.id, identity)
    assert refused.value.code == "EVIDENCE_LOST"


def test_a_case_takes_eight_documents(application: Application) -> None:
    case = Office(application).draft()
    with application.writing() as session:
        for _ in range(8):
            evidence.store(session, application, case.id, "residence", PAPER, application.now())
        with pytest.raises(IssuerRefusal) as refused:
            evidence.store(session, application, case.id, "residence", PAPER, application.now())
    assert refused.value.code == "EVIDENCE_COUNT"
