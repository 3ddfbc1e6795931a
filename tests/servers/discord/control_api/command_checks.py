"""What Discord's own client prevents a person from doing with a command, and the form it sends."""

from typing import Any, Final

from tests.servers.discord.errors import Json
from tests.servers.discord.model import Channel, User
from tests.servers.discord.permissions import ADMINISTRATOR
from tests.servers.discord.state import ServerState

SUBCOMMAND, CHANNEL = 1, 7
_TYPES: Final[dict[int, tuple[type, ...]]] = {
    3: (str,),
    4: (int,),
    5: (bool,),
    CHANNEL: (str,),
    10: (int, float),
}
_SERVERS, _DIRECT = 0, 1


def find(state: ServerState, name: str) -> Json:
    """Return the command of that name; ValueError lists the existing ones."""
    known = [each for those in state.commands.values() for each in those]
    for each in known:
        if each["name"] == name:
            return each
    msg = f"unknown command {name!r}; known: {[each['name'] for each in known]}"
    raise ValueError(msg)


def check_place(state: ServerState, command: Json, user: User, channel: Channel) -> None:
    """Raise ValueError if the command is not offered to this person or in this place."""
    contexts = command.get("contexts")
    where = _SERVERS if channel.guild_id else _DIRECT
    if contexts is not None and where not in contexts:
        msg = f"the command {command['name']!r} is not offered there"
        raise ValueError(msg)
    needed = int(command.get("default_member_permissions") or 0)
    allowed = state.world.allowed(channel, user.id)
    if channel.guild_id and needed & ~allowed and not allowed & ADMINISTRATOR:
        msg = f"the command {command['name']!r} is not offered to {user.name}"
        raise ValueError(msg)


def options(
    command: Json, subcommand: str, given: dict[str, Any], focused: str | None
) -> list[Json]:
    """Return the options as sent; ValueError for one that the command's definition refuses.

    While autocomplete is in progress (`focused`), others may still be missing.
    """
    defined = command.get("options") or []
    if subcommand:
        found = [o for o in defined if o["type"] == SUBCOMMAND and o["name"] == subcommand]
        if not found:
            msg = f"{command['name']!r} has no subcommand {subcommand!r}"
            raise ValueError(msg)
        inner = _filled(found[0].get("options") or [], given, focused)
        return [{"name": subcommand, "type": SUBCOMMAND, "options": inner}]
    if any(option["type"] == SUBCOMMAND for option in defined):
        msg = f"{command['name']!r} needs one of its subcommands"
        raise ValueError(msg)
    return _filled(defined, given, focused)


def _filled(defined: list[Json], given: dict[str, Any], focused: str | None) -> list[Json]:
    known = {option["name"]: option for option in defined}
    if strays := set(given) - set(known):
        msg = f"unknown options {strays}; known: {list(known)}"
        raise ValueError(msg)
    filled = []
    for name, option in known.items():
        if name not in given:
            if option.get("required") and focused is None:
                msg = f"the option {name!r} is required"
                raise ValueError(msg)
            continue
        value, longest = given[name], option.get("max_length", 6000)
        if not isinstance(value, _TYPES[option["type"]]):
            msg = f"the option {name!r} is of another type than {value!r}"
            raise TypeError(msg)
        if isinstance(value, str) and len(value) > longest:
            msg = f"the option {name!r} takes {longest} characters"
            raise ValueError(msg)
        if isinstance(value, int | float) and not isinstance(value, bool):
            least, most = option.get("min_value", value), option.get("max_value", value)
            if not least <= value <= most:
                msg = f"the option {name!r} takes {least} to {most}"
                raise ValueError(msg)
        filled.append(
            {"name": name, "type": option["type"], "value": value}
            | ({"focused": True} if name == focused else {})
        )
    if focused is not None and not known.get(focused, {}).get("autocomplete"):
        msg = f"the option {focused!r} has no autocomplete"
        raise ValueError(msg)
    return filled


def channel(state: ServerState, command: Json, option: Json, chosen: Channel, user: User) -> Json:
    """Return what Discord tells of a channel that an option names.

    ValueError for one that Discord's own client does not list: of a kind that the option does not
    take, or that the person cannot see.
    """
    defined = next(each for each in command["options"] if each["name"] == option["name"])
    kinds = defined.get("channel_types") or [chosen.kind]
    if chosen.kind not in kinds or not state.world.may(chosen, "view_channel", user.id):
        msg = f"the option {option['name']!r} does not list {chosen.name!r} for {user.name}"
        raise ValueError(msg)
    body: Json = {"id": str(chosen.id), "name": chosen.name, "type": chosen.kind}
    return body | {"permissions": str(state.world.allowed(chosen, user.id))}
