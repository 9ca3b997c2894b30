"""How the bodies of these pages come in: short forms, and one form that brings a file."""

from __future__ import annotations

from typing import Annotated, Any, Final

from litestar.enums import RequestEncodingType
from litestar.params import Body

from issuer.cases.evidence_process import LARGEST_FILE

# A name may have 200 letters that are three bytes each, and each byte three characters in a form.
LONGEST_FORM: Final = 16 * 1024
# The file with what a form has around it.
LONGEST_UPLOAD: Final = LARGEST_FILE + 64 * 1024

PageForm = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.URL_ENCODED)]
UploadForm = Annotated[dict[str, Any], Body(media_type=RequestEncodingType.MULTI_PART)]
