"""The libraries of others that the verifier's web app carries, byte for byte as npm publishes them.

Licence texts that npm's package leaves out are added by hand and hashed with the rest.

``python scripts/vendor.py`` fetches them anew; ``--check`` compares what is there with its hashes, without network.
A new version means a new line in `PACKAGES` with the integrity that npm shows for it.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import sys
import tarfile
import urllib.request
from dataclasses import asdict, dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "verifier" / "web" / "vendor"
HASHES, PROVENANCE = "vendor.sha256", "vendor.json"
_LARGEST = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Package:
    """A release on npm, its Subresource Integrity and the files of it that are taken."""

    package: str
    version: str
    integrity: str
    licence: str
    files: tuple[str, ...]


PACKAGES = (
    Package(
        "zxing-wasm",
        "3.1.4",
        "sha512-1+v8p7sauddySVNG+ye7GD/0TS95BG2ycdkrC+EnBrFBFkHeIghzUt2yVjtx3NucJeNrQnhT8yGAIz60Vx9o0w==",
        "MIT; zxing-cpp inside is Apache-2.0",
        ("LICENSE", "dist/es/reader/index.js", "dist/es/share.js", "dist/reader/zxing_reader.wasm"),
    ),
    Package(
        "qr",
        "0.7.0",
        "sha512-/VrrACmOAwZVipuRITwfEwOL5oAMEHH5PTmBWaGtlTom2Thxaa+rhmna4zU9PRN2uLw2wdccbkHOLGZb1Q9SdA==",
        "MIT OR Apache-2.0",
        ("LICENSE", "LICENSE-MIT", "decode.js", "index.js"),
    ),
)


def fetch(package: Package) -> None:
    """Write the files of ``package``. Raises ValueError where the tarball has another integrity."""
    address = f"https://registry.npmjs.org/{package.package}/-/{package.package}-{package.version}.tgz"
    with urllib.request.urlopen(address, timeout=60) as answer:
        tarball = answer.read(_LARGEST)
    found = "sha512-" + base64.b64encode(hashlib.sha512(tarball).digest()).decode()
    if found != package.integrity:
        raise ValueError(f"{address}: integrity {found}")
    with tarfile.open(fileobj=io.BytesIO(tarball)) as archive:
        for name in package.files:
            member = archive.extractfile(f"package/{name}")
            if member is None:
                raise ValueError(f"{address}: {name} is no file")
            target = FOLDER / package.package / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(member.read())


def hashes() -> str:
    """The SHA-256 of every file that is there, as ``sha256sum`` writes them."""
    names = sorted(
        file.relative_to(FOLDER).as_posix()
        for file in FOLDER.rglob("*")
        if file.is_file() and file.name not in (HASHES, PROVENANCE)
    )
    return "".join(f"{hashlib.sha256((FOLDER / name).read_bytes()).hexdigest()}  {name}\n" for name in names)


def provenance() -> str:
    """Where the files come from, as JSON."""
    return json.dumps([asdict(package) for package in PACKAGES], indent=2) + "\n"


def main(arguments: list[str]) -> int:
    """Fetch, or with ``--check`` compare; 1 where something differs."""
    if arguments == ["--check"]:
        same = (FOLDER / HASHES).read_text() == hashes() and (FOLDER / PROVENANCE).read_text() == provenance()
        sys.stdout.write("vendor: as released\n" if same else "vendor: differs from its hashes\n")
        return 0 if same else 1
    for package in PACKAGES:
        fetch(package)
    (FOLDER / HASHES).write_text(hashes())
    (FOLDER / PROVENANCE).write_text(provenance())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
