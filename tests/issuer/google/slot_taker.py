"""A process that takes slots and writes down when it got them: folder, file, how many."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from issuer.application import Application
from issuer.delivery.google_quota import quota_of

if __name__ == "__main__":
    with Application.open(Path(sys.argv[1])) as application:
        count = int(sys.argv[3])
        with Path(sys.argv[2]).open("w") as file:
            for number in range(count):
                quota_of(application).wait(count - number)
                file.write(f"{time.time()}\n")
