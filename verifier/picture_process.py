"""The process that reads one large picture: the file as standard input, JSON as standard output.

The answer is an array of texts, or an object with the code and params of a refusal.
"""

from __future__ import annotations

import json
import sys

from verifier.image import ImageRefused, codes_at_once


def main() -> None:
    """Read and answer; any other fault ends the process with a traceback and exit code 1."""
    answer: object
    try:
        with open(0, "rb", closefd=False) as file:
            answer = codes_at_once(file)
    except ImageRefused as refused:
        answer = {"refused": refused.code, "params": refused.params}
    sys.stdout.write(json.dumps(answer))


if __name__ == "__main__":
    main()
