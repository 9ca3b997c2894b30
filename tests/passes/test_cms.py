"""The CMS signatures, judged by openssl and by a second decoder."""

import re
import subprocess
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from passes.cms import DetachedSigner, signing_time
from tests.passes.apple_samples import NOW, authority

CONTENT = b'{"a":"1",\n"b":"2"}\r\n'


def _files(folder: Path, kind: str, content: bytes = CONTENT, at: datetime = NOW) -> list[str]:
    made = authority(kind)
    signer = DetachedSigner(made.certificate, (made.intermediate, made.root), made.signer)
    (folder / "content").write_bytes(content)
    (folder / "signature").write_bytes(signer.sign(content, at))
    (folder / "root.pem").write_bytes(made.root.public_bytes(Encoding.PEM))
    return ["-inform", "DER", "-in", str(folder / "signature")]


def _verify(folder: Path, tool: str, source: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["openssl", tool, "-verify", "-binary", *source, "-content", str(folder / "content"),
         "-CAfile", str(folder / "root.pem"), "-purpose", "any", "-attime", str(int(NOW.timestamp()))],
        capture_output=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize("tool", ["smime", "cms"])
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_openssl_verifies_a_detached_signature_over_content_with_newlines(tmp_path, tool, kind):
    source = _files(tmp_path, kind)
    made = _verify(tmp_path, tool, source)
    assert made.returncode == 0, made.stderr
    assert made.stdout == CONTENT
    (tmp_path / "content").write_bytes(CONTENT.replace(b"1", b"2"))
    assert _verify(tmp_path, tool, source).returncode != 0


def _printed(folder: Path, source: list[str]) -> str:
    made = subprocess.run(
        ["openssl", "cms", "-cmsout", "-print", *source], capture_output=True, text=True, check=True
    )
    return made.stdout


def test_the_attributes_are_type_time_and_digest_and_the_content_stays_outside(tmp_path):
    printed = _printed(tmp_path, _files(tmp_path, "rsa", at=datetime(2026, 11, 20, 13, 5, 9, tzinfo=UTC)))
    assert re.search(r"object: signingTime .*\n.*\n.*UTCTIME:Nov 20 13:05:09 2026 GMT", printed)
    assert re.search(r"eContent: <ABSENT>", printed)
    assert set(re.findall(r"object: (contentType|signingTime|messageDigest|\S*apabilities)", printed)) == {
        "contentType", "signingTime", "messageDigest",
    }  # fmt: skip


def test_signer_and_intermediate_go_along_and_the_root_does_not(tmp_path):
    printed = _printed(tmp_path, _files(tmp_path, "rsa"))
    subjects = re.findall(r"^\s+subject: (.*)$", printed, re.MULTILINE)
    assert len(subjects) == 2
    assert any("Test Developer Relations" in one for one in subjects)
    assert not any("Test Root" in one for one in subjects)


def test_ec_signatures_of_every_length_verify(tmp_path):
    lengths = set()
    for number in range(40):
        content = str(number).encode()
        source = _files(tmp_path, "ec", content)
        lengths.add((tmp_path / "signature").stat().st_size)
        if number < 8 or len(lengths) > 1:
            assert _verify(tmp_path, "cms", source).returncode == 0
        if number >= 8 and len(lengths) > 1:
            break
    assert len(lengths) > 1


def test_a_signing_time_after_2049_is_a_generalized_time(tmp_path):
    source = _files(tmp_path, "rsa", at=datetime(2050, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert "GENERALIZEDTIME:Jan  2 03:04:05 2050 GMT" in _printed(tmp_path, source)
    assert _verify(tmp_path, "cms", source).returncode == 0


def test_times_are_written_in_utc_and_need_a_zone():
    berlin = timezone(timedelta(hours=2))
    assert signing_time(datetime(2026, 7, 1, 0, 30, tzinfo=berlin)) == b"\x17\x0d260630223000Z"
    assert signing_time(datetime(1949, 12, 31, tzinfo=UTC)) == b"\x18\x0f19491231000000Z"
    with pytest.raises(ValueError, match="zone"):
        signing_time(datetime(2026, 7, 1))  # noqa: DTZ001


def test_a_second_signature_with_another_time_says_so(tmp_path):
    made = authority()
    signer = DetachedSigner(made.certificate, (made.intermediate,), made.signer)
    first, second = signer.sign(CONTENT, NOW), signer.sign(CONTENT, NOW + timedelta(seconds=1))
    assert b"261120120000Z" in first
    assert b"261120120001Z" in second


def test_without_the_intermediate_nothing_is_signed():
    made = authority()
    with pytest.raises(ValueError, match="intermediate"):
        DetachedSigner(made.certificate, (), made.signer)
