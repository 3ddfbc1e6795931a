"""Text that can be written as UTF-8, whatever JSON or a terminal made of it. Pure."""

from __future__ import annotations


def well_formed(text: str) -> str:
    r"""Give `text` with its characters whole: halves that belong together joined, others as U+FFFD.

    JSON may hold half a character, such as "\ud83d"; the model's provider takes none.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text
