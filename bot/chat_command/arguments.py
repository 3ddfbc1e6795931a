"""The command line of `chat`, and the help that teaches it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_ABOUT = """\
Talk to the bot in this terminal, without Discord: to try a persona before it is merged.

It is the same persona, conversation, model, price table and limits as in a channel. Each line is a
message; an answer appears as it is written.
"""
INSIDE = """\
  /persona         everybody that the bot can be
  /persona NAME    go on with another one
  /again           the last answer anew
  /new             forget the conversation
  /quit            end it, as Ctrl-D does; Ctrl-C stops an answer"""
_MORE = f"""\
Inside:
{INSIDE}

It needs the key of the model's provider: OPENAI_API_KEY, or the file or the Key Vault that the
settings name. Exit codes: 0 at the end, 1 for an unknown persona, 2 without a key, or for settings
that cannot be used.

Example:
  OPENAI_API_KEY=… python -m bot chat --config apps/discord-sky/config.toml --persona sky
  OPENAI_API_KEY=… python -m bot chat --persona drafts/pirate.toml
"""


def add(commands: argparse._SubParsersAction[Any]) -> None:
    """Add `chat` to the commands."""
    parser = commands.add_parser(
        "chat",
        help="talk to the bot in this terminal, to try a persona",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--persona",
        metavar="NAME",
        help="who answers, or the file (.toml) of a persona that is only a draft; "
        "else whom the settings say",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    parser.set_defaults(command="chat")
