"""`python -m bot`: the command line and its help texts.

Errors are printed as sentences, never as tracebacks.
"""

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

from bot.domain.errors import BadSettings
from bot.personas import loader as persona_files
from bot.settings.loading import Loaded, load

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


_CHAT_ABOUT = """\
Talk to the bot in this terminal, without Discord, to try a persona before you merge it.

The persona, conversation, model, price table and limits are the same as in a channel. Each line is
a message; the answer appears as it is written.
"""
INSIDE = """\
  /persona         list the personas
  /persona NAME    switch to another persona
  /again           ask the last question again
  /new             start a new conversation
  /quit            exit, as Ctrl-D does; Ctrl-C stops an answer"""
_CHAT_EPILOG = f"""\
Commands in the chat:
{INSIDE}

It needs an API key for the model's provider: OPENAI_API_KEY, or the file or the Key Vault that the
settings name. Exit codes: 0 normal exit, 1 unknown persona, 2 no key or invalid settings.

Examples:
  OPENAI_API_KEY=… python -m bot chat --config apps/discord-sky/config.toml --persona sky
  OPENAI_API_KEY=… python -m bot chat --persona drafts/pirate.toml
"""


def add_chat(commands: argparse._SubParsersAction[Any]) -> None:
    """Add `chat` to the commands."""
    parser = commands.add_parser(
        "chat",
        help="talk to the bot in this terminal, to try a persona",
        description=_CHAT_ABOUT,
        epilog=_CHAT_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--persona",
        metavar="NAME",
        help="the persona that answers, or a draft persona's file (.toml); "
        "default: the one that the settings choose",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    parser.set_defaults(command="chat")


SECRETS = ("discord-token", "openai-api-key")

_SECRETS_ABOUT = """\
Check the bot's two secrets in Azure Key Vault, or change them while the bot runs.

  check    check that each secret exists, is enabled, has not expired, is accepted by its
           service, and is in use by the bot
  set      set the first value, or a new one
  rotate   the same for a secret that is in use, reporting each step
  undo     set the previous value again, as a new version
"""
_SECRETS_EPILOG = """\
Type the value at a prompt that does not show it, or pipe it to standard input; never put it on the
command line. The value is first tried against Discord or the model's provider; if it is refused, it
is not set. Then the command waits until the running bot reports the new value's digest in its
metrics, which it reads through `kubectl port-forward` or from --metrics-url; --no-bot skips this.

Identity: the pod's workload identity if AZURE_FEDERATED_TOKEN_FILE is set, otherwise the account
that is logged in with `az login`. check needs the role "Key Vault Secrets User" on the vault, the
others "Key Vault Secrets Officer"; if a role is missing, the command says which, and for whom.

Examples:
  python -m bot secrets check --vault https://my-vault.vault.azure.net
  python -m bot secrets rotate discord-token --vault https://my-vault.vault.azure.net
  pass show openai | python -m bot secrets set openai-api-key --no-bot

The same by hand, without trying the value or waiting for the bot:
  az keyvault secret set --vault-name my-vault --name discord-token --file FILE --encoding utf-8

Exit codes: 0 success, 1 failure, 2 invalid settings.
"""
_DEFAULT_DAYS, _DEFAULT_WAIT = 90, 300.0


def add_secrets(commands: Any) -> None:
    """Add `secrets` to the subparsers `commands`."""
    parser = commands.add_parser(
        "secrets",
        help="check, set, rotate or undo the secrets in Azure Key Vault",
        description=_SECRETS_ABOUT,
        epilog=_SECRETS_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command="secrets")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    common, changing = _common(), _changing()
    actions.add_parser("check", parents=[common], help="check both secrets")
    for name, meaning in (
        ("set", "set a value"),
        ("rotate", "replace a value, step by step"),
        ("undo", "set the previous value again"),
    ):
        action = actions.add_parser(name, parents=[common, changing], help=meaning)
        action.add_argument("secret", choices=SECRETS, metavar="SECRET", help=" or ".join(SECRETS))


def _common() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--vault", metavar="URL", help="https://my-vault.vault.azure.net")
    common.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    common.add_argument("--metrics-url", metavar="URL", help="where the running bot's metrics are")
    common.add_argument(
        "--namespace",
        default="discord-sky",
        help="the namespace of the bot's pod (default: %(default)s)",
    )
    common.add_argument("--no-bot", action="store_true", help="do not contact the running bot")
    return common


def _changing() -> argparse.ArgumentParser:
    changing = argparse.ArgumentParser(add_help=False)
    changing.add_argument(
        "--expires-in",
        type=int,
        metavar="DAYS",
        default=_DEFAULT_DAYS,
        help="days until the version expires (default: %(default)s); 0: never",
    )
    changing.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        default=_DEFAULT_WAIT,
        help="how long to wait for the bot to use it (default: %(default)s)",
    )
    changing.add_argument(
        "--unchecked", action="store_true", help="set it even if its service does not accept it"
    )
    return changing


_DEFAULT_FILE = Path("/etc/discord-sky/config.toml")
_OK, _FAILED, _BAD_SETTINGS, _UNREAD = 0, 1, 2, 128 + 13  # the shell's code for SIGPIPE

_ABOUT = """\
Discord Sky answers on Discord with a language model.

People call it by mentioning it, by replying to it, in a direct message, with `!sky TOPIC`,
`!sky(PERSONA) TOPIC` or the command /sky. Personas are files in personas/, next to the settings
file.
"""
_EPILOG = f"""\
It needs two files, each with one credential in it: the bot's token (SKY_DISCORD__TOKEN_FILE) and
the key of the model's provider (SKY_OPENAI__API_KEY_FILE). Both may change while it runs.

If an Azure Key Vault is configured, the bot reads a credential from there when it is refused or
missing; `secrets --help` explains how to set and rotate them. On a laptop, the variables
DISCORD_TOKEN and OPENAI_API_KEY are enough.

Settings come from a TOML file ({_DEFAULT_FILE}, if it exists) and from
environment variables, which take precedence: SKY_, the section, two underscores, the key, as in
SKY_OPENAI__MODEL=gpt-5-mini. bot/settings/defaults.toml describes all of them.

While the bot runs, it serves /livez, /readyz and /metrics on port 8080. On SIGTERM it finishes the
answers that it has started. Exit codes: 0 after a signal, 1 after an internal error, 2 for invalid
settings.

To try it on your machine, with the two files in the current directory:
  SKY_DISCORD__TOKEN_FILE=discord-token SKY_OPENAI__API_KEY_FILE=openai-api-key python -m bot
"""
_ABOUT_CHECK = """\
Explain a settings file: model, who may call the bot and where, personas, limits, budget, safety.

It reports every error in the file, in the SKY_ environment variables and in the personas next to
the file, each with its location and how to fix it. It uses neither network nor credentials.
Exit codes: 0 valid, 2 invalid.
"""
_ABOUT_CHECK_PROVIDER = """\
Send the configured provider a few tiny requests, and report what it supports.

Many providers implement OpenAI's protocol, each with its own differences: some refuse a parameter,
pictures, or two consecutive messages of one role; some do not report token usage. The bot detects
this by itself and adapts; this command shows you the differences before anyone uses the bot.
"""
_EPILOG_CHECK_PROVIDER = """\
It sends five requests to each configured model (openai.model and openai.fallback_model): a plain
question, one that follows messages from two people, one with a picture of 32 by 32 pixels, one with
a temperature, and one with a reasoning effort. First it says how many tokens they cost; --dry-run
stops there.

The key comes from OPENAI_API_KEY, or the file or the Key Vault that the settings name. Exit codes:
0 every model answered, 1 at least one did not, 2 no key or invalid settings.

Example:
  SKY_OPENAI__BASE_URL=http://localhost:11434/v1 SKY_OPENAI__API=chat \\
    SKY_OPENAI__MODEL=llama3.1:8b OPENAI_API_KEY=none python -m bot check-provider
"""


def main(line: list[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    for stream, odd in (sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace"):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=odd)  # bytes that are not text are not the user's fault
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
        if chosen.command == "check-provider":
            return _check_provider(chosen, load(_config(chosen.config), os.environ))
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
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(command="run", config=None)
    config = argparse.ArgumentParser(add_help=False)
    config.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="the settings file")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    run = commands.add_parser(
        "run",
        parents=[config],
        help="run the bot (also without a command)",
        description="Run the bot until SIGTERM or Ctrl-C. `--help` of the main command says what "
        "it needs.",
    )
    run.set_defaults(command="run")
    check = commands.add_parser(
        "check-config",
        help="explain a settings file and report every error in it and in the personas "
        "next to it, or in one persona's file",
        description=_ABOUT_CHECK,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    check.add_argument(
        "file", type=Path, metavar="FILE", help="the settings (.toml), or one persona's file"
    )
    check.set_defaults(command="check-config")
    _add_check_provider(commands, config)
    add_chat(commands)
    add_secrets(commands)
    return parser


def _add_check_provider(
    commands: argparse._SubParsersAction[Any], config: argparse.ArgumentParser
) -> None:
    parser = commands.add_parser(
        "check-provider",
        parents=[config],
        help="send the model's provider a few tiny requests, and report what it supports",
        description=_ABOUT_CHECK_PROVIDER,
        epilog=_EPILOG_CHECK_PROVIDER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say how many tokens the requests cost"
    )
    parser.set_defaults(command="check-provider")


def _config(chosen: Path | None) -> Path | None:
    """The file to read: the one that was asked for, or the default one if it exists."""
    if chosen is not None:
        if persona_files.looks_like_one(chosen):
            remedy = f"Try it with `python -m bot chat --persona {chosen}`."
            raise BadSettings([f"{chosen}: is a persona's file, not a settings file. {remedy}"])
        return chosen
    return _DEFAULT_FILE if _DEFAULT_FILE.exists() else None


def _check(path: Path, environ: Mapping[str, str]) -> int:
    there = path.absolute().parent.name == persona_files.DIRECTORY
    if there or persona_files.looks_like_one(path):
        print(f"{path}: good, {persona_files.read_one(path).name} is a persona")
        if not there:
            home = f"{persona_files.DIRECTORY}/, next to the settings"
            print(f"note: it is a draft: the bot reads only those in {home}.")
        return _OK
    loaded = load(path, environ)
    personas, mistaken = persona_files.of(loaded)
    if problems := [*loaded.unknown, *mistaken]:
        raise BadSettings(problems)
    from bot.cli.check_config import notes, summarize  # noqa: PLC0415  # see _run

    print(f"{path}: good")
    for line in summarize(loaded.settings, personas):
        print(line)
    for line in notes(loaded.settings, personas):
        print(f"note: {line}")
    return _OK


def _check_provider(chosen: argparse.Namespace, loaded: Loaded) -> int:
    import logging  # noqa: PLC0415

    from bot.cli.check_provider import run_check  # noqa: PLC0415  # see _run

    logging.disable()  # the person at the terminal reads sentences
    return _OK if run_check(loaded, os.environ, _tell, dry=chosen.dry_run) else _FAILED


def _chat(chosen: argparse.Namespace, loaded: Loaded) -> int:
    import logging  # noqa: PLC0415

    from bot.cli.chat import run_chat  # noqa: PLC0415  # see _run

    logging.disable()  # the person at the terminal reads sentences
    out = partial(_tell, end="")
    return _OK if run_chat(loaded, os.environ, chosen.persona, out, input) else _FAILED


def _secrets(chosen: argparse.Namespace, loaded: Loaded) -> int:
    import asyncio  # noqa: PLC0415  # see _run
    import logging  # noqa: PLC0415

    from bot.cli.secrets.actions import Terminal, run_secrets  # noqa: PLC0415

    logging.disable()  # the command reports errors of Azure's libraries in its own words
    person = Terminal(_tell, _type_unseen)
    well = asyncio.run(run_secrets(chosen, loaded.settings, os.environ, person))
    return _OK if well else _FAILED


def _tell(text: str, end: str = "\n") -> None:
    """Print and flush; exit if nothing reads the output any more."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise SystemExit(_unread()) from None


def _unread() -> int:
    """Discard further output, because its reader, such as `head`, has exited."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(nowhere, stream.fileno())
    return _UNREAD


def _type_unseen(prompt: str) -> str:
    """Read a secret that is typed without echo; piped input is read as it is."""
    if sys.stdin.isatty():
        return getpass.getpass(prompt)
    return sys.stdin.readline()


def _run(loaded: Loaded) -> int:
    gc.disable()  # until everything is loaded (App._warm): saves a tenth of the start's CPU time
    import asyncio  # noqa: PLC0415  # imported late: it takes half a second
    import logging  # noqa: PLC0415

    from bot import app  # noqa: PLC0415
    from bot.observability import log  # noqa: PLC0415

    log.configure(loaded.settings.log.level)
    try:
        asyncio.run(app.run(loaded, os.environ))
    except BadSettings:
        raise
    except Exception as error:  # log it as one JSON line
        logging.getLogger("bot").critical("the bot broke", exc_info=error)
        return _FAILED
    return _OK


if __name__ == "__main__":
    sys.exit(main())
