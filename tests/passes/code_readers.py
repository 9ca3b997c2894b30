"""What readers of codes get out of a picture, and pictures as screens and printers make them."""

import csv
import io
from functools import cache
from pathlib import Path

import typst
import zxingcpp
from PIL import Image

from passes.card_numbers import CardNumber, Symbology

DATA = Path(__file__).parent.parent / "data"
FORMATS = {
    Symbology.CODABAR: zxingcpp.BarcodeFormat.Codabar,
    # Without the pairs of signs that some readers take for small letters.
    Symbology.CODE_39: zxingcpp.BarcodeFormat.Code39Std,
    Symbology.CODE_128: zxingcpp.BarcodeFormat.Code128,
    Symbology.EAN_13: zxingcpp.BarcodeFormat.EAN13,
    Symbology.ITF: zxingcpp.BarcodeFormat.ITF,
    Symbology.QR: zxingcpp.BarcodeFormat.QRCode,
}
# One number of each kind, as a card shows it; nobody of the sample files has one of them.
SAMPLES = {
    Symbology.CODABAR: CardNumber("24711390000101", "codabar14", Symbology.CODABAR),
    Symbology.CODE_39: CardNumber("BQD18N999000", "sbc_like", Symbology.CODE_39),
    Symbology.CODE_128: CardNumber("D900000120", "mod11", Symbology.CODE_128),
    Symbology.EAN_13: CardNumber("4006381333931", None, Symbology.EAN_13),
    Symbology.ITF: CardNumber("00123456", None, Symbology.ITF),
    Symbology.QR: CardNumber("lib-0042/x", None, Symbology.QR),
}


def read(picture: bytes | Image.Image, symbology: Symbology) -> str:
    """The only code of ``symbology`` in a picture, without the letters that frame Codabar."""
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    (found,) = zxingcpp.read_barcodes(image.convert("L"), formats=FORMATS[symbology])
    text = str(found.text)
    if symbology is Symbology.CODABAR:
        assert (text[0], text[-1]) == ("A", "B")
        return text[1:-1]
    return text


def any_code(picture: Image.Image) -> dict[str, str]:
    """Everything that a reader finds which is told of no format: text by name of the format."""
    return {str(one.format): str(one.text) for one in zxingcpp.read_barcodes(picture.convert("L"))}


def drawn(svg: str, millimetres: float, dpi: int) -> Image.Image:
    """``svg`` at a width on paper, drawn by typst's renderer, with nothing around it."""
    page = f"#set page(width: {millimetres}mm, height: auto, margin: 0pt)\n#image(bytes(sys.inputs.svg), width: 100%)"
    made = typst.compile(page.encode(), format="png", ppi=dpi, sys_inputs={"svg": svg})
    assert isinstance(made, bytes)
    return Image.open(io.BytesIO(made)).convert("L")


@cache
def sample_numbers() -> tuple[CardNumber, ...]:
    """Every number of the libraries' sample files and vectors that is one."""
    with (DATA / "samples" / "library_valid.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = [
            (row["card_number"], row["card_scheme"], row["symbology"])
            for row in csv.DictReader(file, delimiter=";")
        ]
    with (DATA / "card_number_vectors.csv").open(encoding="utf-8", newline="") as file:
        rows += [
            (row["input"], row["scheme"], row["symbology"])
            for row in csv.DictReader(file, delimiter=";")
            if row["verdict"] != "invalid"
        ]
    return tuple(CardNumber.parse(*row) for row in rows)
