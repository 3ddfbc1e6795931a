"""Run by the real Azure CLI's Python: run every command line on standard input, in order.

Reads a JSON list of argument lists, writes a JSON list of [exit code, what was said]. Each goes
through azure.cli.core as it does from a terminal; only the start of a process for each is saved.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from typing import Any


def _invoke(cli: Any, argv: list[str]) -> tuple[int, str]:
    """Run `az ARGV` and capture everything it prints, from any part of it."""
    with tempfile.TemporaryFile("w+") as said:
        sys.stdout.flush()
        sys.stderr.flush()
        kept = [os.dup(1), os.dup(2)]
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
        try:
            code = cli.invoke(argv)
        except SystemExit as ended:
            code = ended.code
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in enumerate(kept, start=1):
                os.dup2(copy, number)
                os.close(copy)
        said.seek(0)
        return int(code or 0), said.read()


def main() -> None:
    """Run them all."""
    wanted = json.load(sys.stdin)
    # By name: where these lines are checked, there is no azure.cli.
    cli = importlib.import_module("azure.cli.core").get_default_cli()
    answers = [_invoke(cli, argv) for argv in wanted]
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
