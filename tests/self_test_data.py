"""The built-in self-test of the web app: a city nobody trusts, one good seal and one withdrawn, at a fixed time.

``python -m tests.self_test_data`` makes it anew, with fresh keys that are thrown away.
"""

from __future__ import annotations

import base64
import json
import tempfile
from pathlib import Path

from passes.status_list import Status
from tests.trust_factory import LIST_NUMBER, NOW, City, seconds
from tests.verdict_vectors import folder_files

FILE = Path(__file__).parent.parent / "verifier" / "web" / "device" / "self-test.json"
REVOKED = 7


def made(folder: Path) -> dict[str, object]:
    city = City(folder, test=True)
    city.statuses[LIST_NUMBER][REVOKED] = Status.INVALID
    city.publish()
    published = {name: data for name, data in folder_files(folder).items() if name != "plates.cwt"}
    seals = {"VALID": city.seal(), "REVOKED": city.seal(status_index=REVOKED)}
    return {"now": seconds(NOW), "files": published, "seals": seals}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        FILE.write_text(json.dumps(made(Path(folder)), indent=1) + "\n", "ascii")


def decoded(files: dict[str, str], folder: Path) -> None:
    """Lay ``files`` out as a trust folder."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))


if __name__ == "__main__":
    main()
