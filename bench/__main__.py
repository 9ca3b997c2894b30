"""``make bench``: how fast the parts are, each as a ratio beside its limit and a peer in the same run."""

from __future__ import annotations

import os
import platform
import subprocess
import sys


def main() -> int:
    """Run each bench in a process of its own; nothing is asserted, machines are noisy."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"Python {platform.python_version()}, {cores} cores, load {load:.1f} at the start")
    worst = 0
    for title, module in (
        ("Apple passes", "bench.apple"),
        ("Seals and verdicts", "bench.seal"),
        ("EUDI credentials", "bench.eudi"),
        ("issue, the whole command", "bench.issue"),
        ("An import in the console", "bench.imports"),
        ("The service", "bench.service"),
        ("From a change to the lists", "bench.lists"),
        ("Pushes to phones", "bench.push"),
        ("From a camera's picture to a verdict", "bench.scan"),
        ("Seals read from hard pictures", "bench.recognition"),
        ("The verifier web app", "bench.web"),
        ("First verdict of the web app without network", "bench.offline"),
    ):
        print(f"\n== {title}", flush=True)
        worst = max(worst, subprocess.run([sys.executable, "-m", module], check=False).returncode)
    return worst


if __name__ == "__main__":
    sys.exit(main())
