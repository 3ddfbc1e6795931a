"""The command line of `chat`, and the help that teaches it.

The command line of `secrets`, and the help that teaches it.

`python -m bot`: run the bot, or look at its settings. Errors are sentences, never traces.
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
Talk to the bot in this terminal, without Discord: to try a persona before it is merged.

It is the same persona, conversation, model, price table and limits as in a channel. Each line is a
message; an answer appears as it is written.
"""
INSIDE = """\
  /persona         everybody that the bot can be
  /persona NAME    go on with another one
  /again           the last answer again
  /new             forget the conversation
  /quit            end it, as Ctrl-D does; Ctrl-C stops an answer"""
_CHAT_EPILOG = f"""\
Inside:
{INSIDE}

It needs the key of the model's provider: OPENAI_API_KEY, or the file or the Key Vault that the
settings name. Exit codes: 0 at the end, 1 for an unknown persona, 2 without a key, or for settings
that cannot be used.

Example:
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
        help="who answers, or the file (.toml) of a persona that is only a draft; "
        "else whom the settings say",
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", default=argparse.SUPPRESS, help="the settings file"
    )
    parser.set_defaults(command="chat")


SECRETS = ("discord-token", "openai-api-key")

_SECRETS_ABOUT = """\
Look at the bot's two secrets in Azure Key Vault, and change them while it runs.

  check    each secret: there, enabled, not expired, accepted by its service, used by the bot
  set      the first value, or a new one
  rotate   the same with each step told, for a secret that is in use
  undo     the value before, as a new version
"""
_SECRETS_EPILOG = """\
A value is typed at a prompt that does not show it, or comes on standard input; it is never on the
command line. It is tried against Discord or the model's provider first: what is refused is not set.
Then the command waits until the running bot reports the new value's digest in its metrics. It
reaches them through `kubectl port-forward`, or at --metrics-url; --no-bot does without.

Identity: the pod's workload identity if AZURE_FEDERATED_TOKEN_FILE is set, otherwise the account
that is logged in with `az login`. check needs the role "Key Vault Secrets User" on the vault, the
others "Key Vault Secrets Officer"; if one is missing, the command says who lacks which.

Examples:
  python -m bot secrets check --vault https://my-vault.vault.azure.net
  python -m bot secrets rotate discord-token --vault https://my-vault.vault.azure.net
  pass show openai | python -m bot secrets set openai-api-key --no-bot

The same by hand, without the trying and the waiting:
  az keyvault secret set --vault-name my-vault --name discord-token --file FILE --encoding utf-8
Exit codes: 0 all is well, 1 something is not, 2 for settings that cannot be used.
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
    actions.add_parser("check", parents=[common], help="say how the secrets are")
    for name, meaning in (
        ("set", "set a value"),
        ("rotate", "exchange a value, step by step"),
        ("undo", "set the value before again"),
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
        "--namespace", default="discord-sky", help="for kubectl port-forward (%(default)s)"
    )
    common.add_argument("--no-bot", action="store_true", help="do not look at the running bot")
    return common


def _changing() -> argparse.ArgumentParser:
    changing = argparse.ArgumentParser(add_help=False)
    changing.add_argument(
        "--expires-in",
        type=int,
        metavar="DAYS",
        default=_DEFAULT_DAYS,
        help="when the version expires (%(default)s); 0 for never",
    )
    changing.add_argument(
        "--wait",
        type=float,
        metavar="SECONDS",
        default=_DEFAULT_WAIT,
        help="how long to wait for the bot (%(default)s)",
    )
    changing.add_argument(
        "--unchecked", action="store_true", help="set it although its service did not accept it"
    )
    return changing


_DEFAULT_FILE = Path("/etc/discord-sky/config.toml")
_OK, _FAILED, _BAD_SETTINGS, _UNREAD = 0, 1, 2, 128 + 13  # as a shell says SIGPIPE

_ABOUT = """\
Discord Sky answers on Discord with a language model.

People call it by mentioning it, by replying to it, in a direct message, with `!sky TOPIC`,
`!sky(PERSONA) TOPIC` or the command /sky. Personas are files in personas/ beside the settings.
"""
_EPILOG = f"""\
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
_ABOUT_CHECK_PROVIDER = """\
Ask the configured provider a few tiny questions, and say what it can and what the bot does without.

Many providers speak OpenAI's protocol, each in its own way: some refuse a parameter, pictures, or
two messages in a row; some do not say how many tokens were used. The bot finds out by itself and
adapts; this command tells you before anyone asks it something.
"""
_EPILOG_CHECK_PROVIDER = """\
Five questions for each configured model (openai.model and openai.fallback_model): a plain one, one
after two people spoke, one with a picture of 32 by 32 pixels, one with a temperature, and one with
a reasoning effort. It says first how many tokens that costs; --dry-run stops there.

The key comes from OPENAI_API_KEY, or the file or the Key Vault that the settings name. Exit codes:
0 each model answered, 1 one did not, 2 without a key, or for settings that cannot be used.

Example:
  SKY_OPENAI__BASE_URL=http://localhost:11434/v1 SKY_OPENAI__API=chat \\
    SKY_OPENAI__MODEL=llama3.1:8b OPENAI_API_KEY=none python -m bot check-provider
"""


def main(line: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
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
        help="ask the model's provider a few tiny questions, and say what it can do",
        description=_ABOUT_CHECK_PROVIDER,
        epilog=_EPILOG_CHECK_PROVIDER,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="only say how many tokens that costs"
    )
    parser.set_defaults(command="check-provider")


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

    from bot.cli.secrets.actions import Terminal  # noqa: PLC0415
    from bot.cli.secrets.command import run_secrets  # noqa: PLC0415

    logging.disable()  # what Azure's libraries have to say is said in our words
    person = Terminal(_tell, _type_unseen)
    well = asyncio.run(run_secrets(chosen, loaded.settings, os.environ, person))
    return _OK if well else _FAILED


def _tell(text: str, end: str = "\n") -> None:
    """Print at once. Where nobody reads that any more, nothing in between takes it for a fault."""
    try:
        print(text, end=end, flush=True)
    except BrokenPipeError:
        raise SystemExit(_unread()) from None


def _unread() -> int:
    """Say no more: the reader of the output, such as `head`, has gone."""
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

    from bot import app  # noqa: PLC0415
    from bot.observability import log  # noqa: PLC0415

    log.configure(loaded.settings.log.level)
    try:
        asyncio.run(app.run(loaded, os.environ))
    except BadSettings:
        raise
    except Exception as error:  # the last edge: the log gets a line, not a trace
        logging.getLogger("bot").critical("the bot broke", exc_info=error)
        return _FAILED
    return _OK


if __name__ == "__main__":
    sys.exit(main())
