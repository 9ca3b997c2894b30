"""A PDF with an electronic seal: PAdES baseline level B-B (ETSI EN 319 142-1), in one signature field, no picture.

pyHanko writes the PDF and the CMS structure; the signature itself comes from our key, which may live in an HSM. The
seal is what a reader of PDFs checks; the QR code on the same sheet is for whoever has only the paper.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from asn1crypto import x509 as asn1_x509
from asn1crypto.algos import SignedDigestAlgorithm
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import InvisSigSettings, MDPPerm, SigFieldSpec, SigSeedSubFilter
from pyhanko.sign.signers.constants import ESIC_EXTENSION_1
from pyhanko.sign.signers.pdf_cms import Signer as CmsSigner
from pyhanko.sign.signers.pdf_signer import PdfSigner, PdfSigningSession
from pyhanko_certvalidator.registry import SimpleCertificateStore

from keys.cose import Es256Signer

_FIELD: Final = "Siegel"
# A field without a picture stands off the page, since PDF/UA wants one on it tagged (ISO 14289-1, 7.18.4), and is to
# be printed, since PDF/A wants that of every field (ISO 19005-2, 6.3.2).
_UNSEEN: Final = InvisSigSettings(set_print_flag=True, set_hidden_flag=False, box_out_of_bounds=True)
_ALGORITHM: Final = "sha256"
# What a signature of P-256 takes at most as DER: two integers of 33 bytes.
_LONGEST_SIGNATURE: Final = 72
_HALF: Final = 32


@dataclass(frozen=True, slots=True)
class PdfSeal:
    """Who seals: ``certificate`` of ``signer``'s key (P-256), ``chain`` above it without the trust anchor.

    ``reason`` and ``place`` stand in the signature for people to read, ``reason`` also as the name of its field.
    """

    certificate: x509.Certificate
    chain: Sequence[x509.Certificate]
    signer: Es256Signer
    reason: str
    place: str


def sealed_pdf(pdf: bytes, seal: PdfSeal, at: datetime) -> bytes:
    """``pdf``, one of ours, with the seal of ``at`` (aware) added behind it: its bytes stay as they are.

    Nothing may be changed afterwards: the seal certifies the document (ISO 32000-1, 12.8.2.2, level 1). Raises
    ValueError for a naive time.
    """
    if at.tzinfo is None:
        raise ValueError("a time without a zone must not be sealed")
    told = signers.PdfSignatureMetadata(
        field_name=_FIELD,
        md_algorithm=_ALGORITHM,
        subfilter=SigSeedSubFilter.PADES,
        reason=seal.reason,
        location=seal.place,
        certify=True,
        docmdp_permissions=MDPPerm.NO_CHANGES,
    )
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    field = SigFieldSpec(_FIELD, invis_sig_settings=_UNSEEN, readable_field_name=seal.reason)
    made = _TimedSigner(told, _KeySigner(seal), at, field).sign_pdf(writer, output=io.BytesIO())
    return bytes(made.getbuffer())


class _TimedSigner(PdfSigner):
    """Seals at the time it is given, the service's clock and not the machine's, and leaves the file at PDF 1.7."""

    def __init__(
        self, told: signers.PdfSignatureMetadata, signer: CmsSigner, at: datetime, field: SigFieldSpec
    ) -> None:
        super().__init__(told, signer, new_field_spec=field)
        self._at = at

    def init_signing_session(self, pdf_out: Any, existing_fields_only: bool = False) -> PdfSigningSession:
        session = super().init_signing_session(pdf_out, existing_fields_only)
        session.system_time = self._at
        return session

    def register_extensions(self, pdf_out: Any, *, md_algorithm: str) -> None:  # noqa: ARG002
        # pyHanko would declare PDF 2.0 for the sake of ISO/TS 32002, and PDF/A-2 and PDF/UA-1 are of 1.7.
        pdf_out.register_extension(ESIC_EXTENSION_1)


class _KeySigner(CmsSigner):
    """Signs with a key that gives r and s; CMS wants them as a DER sequence (RFC 5753, 7.2)."""

    def __init__(self, seal: PdfSeal) -> None:
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        store.register_multiple([_asn1(one) for one in seal.chain])
        super().__init__(
            embed_roots=False,
            signature_mechanism=SignedDigestAlgorithm({"algorithm": f"{_ALGORITHM}_ecdsa"}),
            signing_cert=_asn1(seal.certificate),
            cert_registry=store,
        )
        self._key = seal.signer

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:
        if digest_algorithm != _ALGORITHM:
            raise ValueError(f"no seal with {digest_algorithm}")
        if dry_run:
            return bytes(_LONGEST_SIGNATURE)
        raw = self._key.sign(data)
        return encode_dss_signature(int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
