"""`python -m bot`: run the bot, or look at its settings. Errors are sentences, never traces."""

from __future__ import annotations

import argparse
import gc
import getpass
import io
import os
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bot.chat_command import arguments as chat_arguments
from bot.errors import BadSettings
from bot.personas import files as persona_files
from bot.secrets_command import arguments
from bot.settings.loading import Loaded, load

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEFAULT_FILE = Path("/etc/discord-sky/config.toml")
_OK, _FAILED, _BAD_SETTINGS, _UNREAD = 0, 1, 2, 128 + 13  # as a shell says SIGPIPE

_ABOUT = """\
Discord Sky answers on Discord with a language model.

People call it by mentioning it, by replying to it, in a direct message, with `!sky TOPIC`,
`!sky(PERSONA) TOPIC` or the command /sky. Personas are files in personas/ beside the settings.
"""
_MORE = f"""\
It needs two files, each with one credential in it: the bot's token (SKY_DISCORD__TOKEN_FILE) and
the key of the model's provider (SKY_OPENAI__API_KEY_FILE). Both may change while it runs.

With an Azure Key Vault it asks there itself when one is refused or missing: `secrets --help` says
how to set and rotate them. On a laptop DISCORD_TOKEN and OPENAI_API_KEY will do.

Settings come from a TOML file ({_DEFAULT_FILE}, if it is there) and from
environment variables, which win: SKY_, the section, two underscores, the key, as in
SKY_OPENAI__MODEL=gpt-5-mini. All of them are in bot/settings/defaults.toml, with what they mean.

While it runs, /livez, /readyz and /metrics answer on port 8080. SIGTERM lets it finish what it
took. Exit codes: 0 after a signal, 1 after a defect, 2 for settings that cannot be used.

Try it on your machine, with the two files in the present directory:
  SKY_DISCORD__TOKEN_FILE=discord-token SKY_OPENAI__API_KEY_FILE=openai-api-key python -m bot
"""
_ABOUT_CHECK = """\
Say what a settings file means: model, who may call and where, personas, limits, budget, safety.

Mistakes in it, in the environment's SKY_ variables and in the personas beside it are told, each
with its place and remedy. Nothing is asked over the network and no credential is needed.
Exit codes: 0 it can be used, 2 it cannot.
"""


def main(line: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    for stream, odd in (sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace"):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=odd)  # bytes that are no text are no fault of whoever types
    try:
        try:
            return _do(_parser().parse_args(line))
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        return _unread()


def _do(chosen: argparse.Namespace) -> int:
    try:
        if chosen.command == "check-config":
            return _check(chosen.file, os.environ)
        if chosen.command == "chat":
            return _chat(chosen, load(_config(chosen.config), os.environ))
        if chosen.command == "secrets":
            return _secrets(chosen, load(_config(chosen.config), os.environ))
        return _run(load(_config(chosen.config), os.environ))
    except BadSettings as error:
        for problem in error.problems:
            print(f"settings: {problem}", file=sys.stderr)
        return _BAD_SETTINGS


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot",
        description=_ABOUT,
        epilog=_MORE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command="run", config=None)
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the settings file")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    run = commands.add_parser("run", parents=[config], help="run the bot (also without a command)")
    run.set_defaults(command="run")
    check = commands.add_parser(
        "check-config",
        help="say what a settings file means, and all that is wrong with it and the personas "
        "beside it, or with one persona's file",
        description=_ABOUT_CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", help="the settings (.toml), or one persona's file"
    )
    check.set_defaults(command="check-config")
    chat_arguments.add(commands)
    arguments.add(commands)
    return parser


def _config(chosen: Path | None) -> Path | None:
    """The file to read: the one that was asked for, or the default one if it exists."""
    if chosen is not None:
        if persona_files.looks_like_one(chosen):
            remedy = f"Try it with `python -m bot chat --persona {chosen}`."
            raise BadSettings(
                [f"{chosen}: is a persona's file, not that of the settings. {remedy}"]
            )
        return chosen
    return _DEFAULT_FILE if _DEFAULT_FILE.exists() else None


def _check(path: Path, environ: Mapping[str, str]) -> int:
    there = path.absolute().parent.name == persona_files.DIRECTORY
    if there or persona_files.looks_like_one(path):
        print(f"{path}: good, {persona_files.read_one(path).name} is a persona")
        if not there:
            home = f"{persona_files.DIRECTORY}/ beside the settings"
            print(f"note: it is a draft: the bot reads those in {home}.")
        return _OK
    loaded = load(path, environ)
    cast, mistaken = persona_files.of(loaded)
    if problems := [*loaded.unknown, *mistaken]:
        raise BadSettings(problems)
    from bot.explain import explain, notes  # noqa: PLC0415  # see _run

    print(f"{path}: good")
    for line in explain(loaded.settings, cast):
        print(line)
    for line in notes(loaded.settings, cast):
        print(f"note: {line}")
    return _OK


def _chat(chosen: argparse.Namespace, loaded: Loaded) -> int:
    import logging  # noqa: PLC0415

    from bot.chat_command import command  # noqa: PLC0415  # see _run

    logging.disable()  # whoever sits at the terminal reads sentences
    out = partial(_tell, end="")
    return _OK if command.run(loaded, os.environ, chosen.persona, out, input) else _FAILED


def _secrets(chosen: argparse.Namespace, loaded: Loaded) -> int:
    import asyncio  # noqa: PLC0415  # see _run
    import logging  # noqa: PLC0415

    from bot.secrets_command import command  # noqa: PLC0415
    from bot.secrets_command.desk import Person  # noqa: PLC0415

    logging.disable()  # what Azure's libraries have to say is said in our words
    person = Person(_tell, _type_unseen)
    well = asyncio.run(command.run(chosen, loaded.settings, os.environ, person))
    return _OK if well else _FAILED


def _tell(text: str, end: str = "\n") -> None:
    """Print at once. Where nobody reads that any more, nothing in between takes it for a fault."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise SystemExit(_unread()) from None


def _unread() -> int:
    """Say no more: whoever read what is written here, such as `head`, has gone."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return _UNREAD


def _type_unseen(prompt: str) -> str:
    """Let a person type a secret; what is piped in is read as it is."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline()


def _run(loaded: Loaded) -> int:
    gc.disable()  # until all is loaded (App._warm): a tenth of the start's CPU time
    import asyncio  # noqa: PLC0415  # the bot itself: half a second that the other commands save
    import logging  # noqa: PLC0415

    from bot import app, log  # noqa: PLC0415

    log.configure(loaded.settings.log.level)
    try:
        asyncio.run(app.run(loaded, os.environ))
    except BadSettings:
        raise
    except Exception as error:  # the last edge: whoever reads the log gets a line, not a trace
        logging.getLogger("bot").critical("the bot broke", exc_info=error)
        return _FAILED
    return _OK


if __name__ == "__main__":
    sys.exit(main())
