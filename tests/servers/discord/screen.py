"""Shows a growing, changing text on a terminal."""

import shutil
import unicodedata
from dataclasses import dataclass
from typing import TextIO


@dataclass
class Screen:
    """Shows a changing text: on a terminal as it changes, elsewhere once it is complete."""

    out: TextIO
    live: bool
    shown: str = ""

    def show(self, text: str) -> None:
        """Update the terminal to this text."""
        if not self.live or text == self.shown:
            self.shown = text
            return
        if text.startswith(self.shown):
            self.out.write(text[len(self.shown) :])
        else:
            columns, lines = shutil.get_terminal_size()
            above = rows(self.shown, columns) - 1
            if above < lines:
                up = f"\x1b[{above}A" if above else ""
                self.out.write(f"\r{up}\x1b[J{text}")
            else:  # its beginning has scrolled off the screen and cannot be changed any more
                self.out.write(f"\n… (edited)\n{text}")
        self.out.flush()
        self.shown = text

    def end(self) -> None:
        """Complete the text."""
        if not self.live:
            self.out.write(self.shown)
        self.out.write("\n" if self.shown else "")
        self.out.flush()
        self.shown = ""


def rows(text: str, columns: int) -> int:
    """Return the terminal rows that a text takes."""
    return sum(max(1, -(-width(line) // columns)) for line in text.split("\n"))


def width(line: str) -> int:
    """Return the terminal columns that a line takes."""
    wide = sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in line)
    return wide - sum(1 for each in line if unicodedata.combining(each))
