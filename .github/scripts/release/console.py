"""Messages for the user, and annotations on the page of a workflow's run."""

import os
import sys


def annotate(level: str, title: str, text: str) -> None:
    """Print `text` on stderr; in a workflow also as an annotation (`error` or `warning`)."""
    print(f"{title}: {text}", file=sys.stderr)
    if os.environ.get("GITHUB_ACTIONS") == "true":
        escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
        print(f"::{level} title={title}::{escaped}", file=sys.stderr)
