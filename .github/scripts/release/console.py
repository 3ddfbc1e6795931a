"""What is said to the person, and to the page of a workflow's run where there is one."""

import os
import sys


def annotate(level: str, title: str, text: str) -> None:
    """Say `text` on stderr; in a workflow, show it on the run's page too (`error`, `warning`)."""
    print(f"{title}: {text}", file=sys.stderr)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::{level} title={title}::{escaped}", file=sys.stderr)
