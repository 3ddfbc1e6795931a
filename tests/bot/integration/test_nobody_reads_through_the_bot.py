"""No text that somebody may not read is ever in a request to the model, however they ask.

Random servers, people and ways to ask, played against a running bot. What somebody may read is
judged by Discord's documentation, on the plan of the server alone: neither the bot nor the test
server is asked. SKY_PRIVACY says how many servers; hypothesis prints the one that fails.
https://discord.com/developers/docs/topics/permissions#permission-overwrites
"""

import asyncio
import itertools
import os
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.servers.discord.model import THREAD_STARTER_MESSAGE
from tests.servers.discord.records import Message

from .answers import buttons
from .conftest import FreshStage
from .environment import Stage
from .scenario import Scene
from .scenario import scene as open_scene

EXAMPLES = int(os.environ.get("SKY_PRIVACY", "8"))
VIEW, HISTORY = "view_channel", "read_message_history"
SPEAK = ["send_messages", "send_messages_in_threads"]
KINDS = ("text", "text", "public thread", "private thread", "forum")
WAYS = ("call", "reply", "link", "forward", "menu", "slash")
WITHOUT_THE_BOT = ("call", "reply", "link", "forward")
LATER = ("again", "crash", "rollout")
SECRET = re.compile(r"secret-\d+")
_numbers = itertools.count(1)
_plans = itertools.count(1)


@dataclass(frozen=True)
class Rule:
    """An overwrite: for `everyone`, the role or the person of that number."""

    target: str
    allow: frozenset[str]
    deny: frozenset[str]


@dataclass(frozen=True)
class Room:
    """A channel, or one with a thread or a post in it; its overwrites are the channel's."""

    kind: str
    rules: tuple[Rule, ...]
    members: frozenset[int]  # of a private thread


@dataclass(frozen=True)
class Plan:
    """A server: which roles each of three people has, and its channels."""

    roles: tuple[frozenset[int], ...]
    rooms: tuple[Room, ...]
    asked: tuple[tuple[int, int, int, str], ...]  # who, where, about which room's message, how
    later: str


PERMISSIONS = st.frozensets(st.sampled_from([VIEW, HISTORY]))
TARGETS = st.sampled_from(
    ["everyone", "role 0", "role 1", "role 2", *(f"user {n}" for n in range(3))]
)


@st.composite
def rule(draw: st.DrawFn, target: str) -> Rule:
    """An overwrite that is not in two minds."""
    deny = draw(PERMISSIONS)
    return Rule(target, draw(PERMISSIONS) - deny, deny)


@st.composite
def room(draw: st.DrawFn) -> Room:
    """A channel with some overwrites, each for another target."""
    targets = draw(st.lists(TARGETS, max_size=4, unique=True))
    rules = tuple(draw(rule(target)) for target in targets)
    return Room(draw(st.sampled_from(KINDS)), rules, draw(st.frozensets(st.integers(0, 2))))


ASKED = st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(1, 3), st.sampled_from(WAYS))
PLANS = st.builds(
    Plan,
    st.tuples(*[st.frozensets(st.integers(0, 2))] * 3),
    st.tuples(*[room()] * 3),
    st.lists(ASKED, min_size=4, max_size=8).map(tuple),
    st.sampled_from(LATER),
)
SERVERS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
    print_blob=True,
)


def permissions(rules: tuple[Rule, ...], person: int, roles: frozenset[int]) -> frozenset[str]:
    """What the documentation's arithmetic leaves somebody in a channel; @everyone may do both."""
    mine = {f"role {number}" for number in roles}
    granted = frozenset({VIEW, HISTORY})
    for targets in ({"everyone"}, mine, {f"user {person}"}):
        those = [each for each in rules if each.target in targets]
        granted -= frozenset[str]().union(*(each.deny for each in those))
        granted |= frozenset[str]().union(*(each.allow for each in those))
    return granted if VIEW in granted else frozenset()


def room_name(plan: int, number: int, kind: str) -> str:
    """Name a room of a plan; the settings of threads name them all before."""
    return f"{'posts' if kind == 'forum' else 'room'}-{plan}-{number}"


@dataclass
class Place:
    """A room as it stands on the test server."""

    room: Room
    where: str
    id: str
    secrets: list[str] = field(default_factory=list)
    message: str = ""

    def may_view(self, person: int, roles: frozenset[int]) -> bool:
        """Whether somebody can be there."""
        inside = self.room.kind != "private thread" or person in self.room.members
        return inside and VIEW in permissions(self.room.rules, person, roles)

    def may_read(self, person: int, roles: frozenset[int]) -> bool:
        """Whether somebody may read what was said there before."""
        return self.may_view(person, roles) and HISTORY in permissions(
            self.room.rules, person, roles
        )


class Played:
    """One plan on the test server, with people and roles of its own."""

    def __init__(self, scene: Scene, plan: Plan, *, threads: bool) -> None:
        self.scene, self.plan, self.threads = scene, plan, threads
        self.roles = list(plan.roles)
        self.number = next(_plans)
        self.places: list[Place] = []
        self.hall = Place(Room("text", (), frozenset()), "", "")
        self.asked_in: dict[str, Place] = {}  # by the id of what was asked

    def name(self, target: str) -> str:
        """Name a role or a person of this plan."""
        return f"{target.replace(' ', '')}-{self.number}"

    async def build(self) -> None:
        """Make people, roles, channels, and say something secret in each place."""
        discord = self.scene.discord
        for person in range(3):
            await discord.add_user(self.name(f"user {person}"))
        for role in range(3):
            holders = [self.name(f"user {n}") for n in range(3) if role in self.roles[n]]
            await discord.add_role(self.name(f"role {role}"), holders)
        hall = await discord.add_channel(f"hall-{self.number}")
        self.hall.where, self.hall.id = hall.name, hall.id
        for number, each in enumerate(self.plan.rooms):
            self.places.append(await self._room(room_name(self.number, number, each.kind), each))

    async def _room(self, name: str, room: Room) -> Place:
        discord = self.scene.discord
        kind = "forum" if room.kind == "forum" else "text"
        rules = [
            {"user": "Sky", "allow": [VIEW, HISTORY, *SPEAK]},
            *(self._overwrite(each) for each in room.rules),
        ]
        channel = await discord.add_channel(name, kind=kind, overwrites=rules)
        place = Place(room, channel.name, channel.id)
        first = self._secret(place)
        if room.kind == "forum":
            post = {"content": first}
            thread = await discord.add_channel(f"{name}-t", parent=name, post=post, author="Ada")
            place.where, place.id, place.message = thread.id, thread.id, thread.id
        elif room.kind != "text":
            private = room.kind == "private thread"
            members = [self.name(f"user {n}") for n in room.members] if private else []
            more: dict[str, Any] = {"private": private, "members": members, "author": "Ada"}
            thread = await discord.add_channel(f"{name}-t", parent=name, **more)
            place.where, place.id = thread.id, thread.id
        if not place.message:
            place.message = await self._say(first, place)
        elif self.threads:  # a new post is answered, and what its author adds
            self.asked_in[place.message] = place
            await self.note_answer(place.message)
        said = await self._say(self._secret(place), place)
        if self.threads and room.kind == "forum":
            self.asked_in[said] = place
            await self.note_answer(said)
        return place

    def _overwrite(self, rule: Rule) -> dict[str, Any]:
        kind = "user" if rule.target.startswith("user") else "role"
        target = "@everyone" if rule.target == "everyone" else self.name(rule.target)
        return {kind: target, "allow": sorted(rule.allow), "deny": sorted(rule.deny)}

    def _secret(self, place: Place) -> str:
        place.secrets.append(f"secret-{next(_numbers)}")
        return place.secrets[-1]

    async def _say(self, text: str, place: Place) -> str:
        return await self.scene.say(text, by="Ada", where=place.where)

    async def ask(self, person: int, where: int, about: int, way: str) -> str | None:
        """Ask in one of the ways; None where Discord itself would not let them."""
        place = [self.hall, *self.places][where]
        target = self.places[about - 1]
        roles, by = self.roles[person], self.name(f"user {person}")
        if not place.may_view(person, roles):
            return None
        link = f"https://discord.com/channels/{self._guild}/{target.id}/{target.message}"
        scene, words = self.scene, f"question {next(_numbers)}"
        match way:
            case "call":
                question = await scene.call(words, by=by, where=place.where)
            case "link":
                question = await scene.call(f"{words} {link}", by=by, where=place.where)
            case "slash":
                question = await scene.ask(f"{words} {link}", by=by, where=place.where)
            case "reply" if target is place:
                question = await scene.say(
                    words, by=by, where=place.where, reply_to=target.message, mention=True
                )
            case "forward" if target.may_read(person, roles):
                forwarded = await scene.say("", by=by, where=place.where, forward=target.message)
                # What is forwarded may be read by everybody here from then on.
                place.secrets.append(target.secrets[0])
                question = await scene.say(
                    words, by=by, where=place.where, reply_to=forwarded, mention=True
                )
            case "menu" if target is place and place.may_read(person, roles):
                used = await scene.discord.invoke("Ask Sky", place.where, by, target=target.message)
                question = (await scene.responded(used.id)).id
            case _:
                return None
        self.asked_in[question] = place
        return question

    async def go_on(self, person: int, thread: str, about: int, *, mention: bool) -> str | None:
        """Write in the thread on a question; None where Discord itself would not let them."""
        place, target = self.asked_in[thread], self.places[about - 1]
        if not place.may_view(person, self.roles[person]):
            return None
        by, link = self.name(f"user {person}"), f"{self._guild}/{target.id}/{target.message}"
        words = f"question {next(_numbers)} https://discord.com/channels/{link}"
        question = await self.scene.say(words, by=by, where=thread, mention=mention)
        self.asked_in[question] = place
        return question

    async def answered(self, question: str) -> list[Message]:
        """Wait for the answer to a question, complete, in its channel or in a thread on it."""
        async with asyncio.timeout(60), self.scene.discord.events() as events:
            while True:
                parts = [*(await self.scene.seen(question)).parts, *await self._below(question)]
                if any("Again" in buttons(each) for each in parts):
                    return parts
                await events.event(lambda e: e.kind in {"message", "edit"}, 60)

    async def _below(self, question: str) -> list[Message]:
        channels = (await self.scene.discord.world()).channels
        if question not in {each.id for each in channels if each.parent_id}:
            return []
        there = await self.scene.discord.read(question)
        kinds = {THREAD_STARTER_MESSAGE}
        own = [each for each in there if each.from_sky and each.kind not in kinds]
        return [each for each in own if each.reply_to in {None, question}]

    async def note_answer(self, question: str) -> None:
        """Let what an answer shows be read by everybody there from now on."""
        text = "\n".join(part.content for part in await self.answered(question))
        self.asked_in[question].secrets += SECRET.findall(text)

    @property
    def _guild(self) -> str:
        return str(self.scene.world.guilds[0]["id"])

    def may_read(self, secret: str, person: int, roles: frozenset[int]) -> bool:
        """Judge by the plan: whether they may read it in one of the places where it was said."""
        return any(
            each.may_read(person, roles)
            for each in [self.hall, *self.places]
            if secret in each.secrets
        )

    async def change_roles(self, person: int, roles: frozenset[int]) -> None:
        """Give somebody other roles."""
        self.roles[person] = roles
        names = [self.name(f"role {each}") for each in roles]
        await self.scene.discord.change_member(self.name(f"user {person}"), roles=names)


async def play(scene: Scene, plan: Plan, *, threads: bool) -> int:
    """Play a plan; gives how many secrets the model was told, all of them rightly."""
    played = Played(scene, plan, threads=threads)
    await played.build()
    rightly = 0
    for person, where, about, way in plan.asked:
        before = await told(scene)
        question = await played.ask(person, where, about, way)
        if question is None:
            continue
        parts = await played.answered(question)
        rightly += judge(played, person, await told(scene) - before, way)
        await played.note_answer(question)
        if parts[-1].channel_id == question:
            rightly += await in_thread(played, person, question, about)
        if plan.later == "again":
            rightly += await again(played, person, question)
    if plan.later != "again":
        rightly += await away(played)
    return rightly


async def in_thread(played: Played, person: int, thread: str, about: int) -> int:
    """Let the person who asked go on without a mention, and another one call the bot there."""
    rightly = 0
    for number, mention in ((person, False), ((person + 1) % 3, True)):
        before = await told(played.scene)
        question = await played.go_on(number, thread, about, mention=mention)
        if question is not None:
            await played.answered(question)
            rightly += judge(played, number, await told(played.scene) - before, "in a thread")
            await played.note_answer(question)
    return rightly


async def told(scene: Scene) -> Counter[str]:
    """Count the secrets in all that the model was ever asked."""
    requests = [each.asked for each in await scene.openai.requests() if each.asked is not None]
    texts = (turn.text for asked in requests for turn in asked.turns)
    return Counter(secret for text in texts for secret in SECRET.findall(text))


def judge(played: Played, person: int, secrets: Counter[str], way: str) -> int:
    """Fail if one of the secrets is not for this person, by the roles that they have now."""
    roles = played.roles[person]
    wrongly = {each for each in secrets if not played.may_read(each, person, roles)}
    assert not wrongly, f"{way}: user {person} with {sorted(roles)} was read {wrongly}"
    return secrets.total()


async def again(played: Played, person: int, question: str) -> int:
    """Let somebody press Again after their roles were changed."""
    scene = played.scene
    last = (await played.answered(question))[-1]
    await played.change_roles(person, frozenset({0, 1, 2}) - played.roles[person])
    before, asked = await told(scene), len(await scene.openai.requests())
    await scene.press(last, "Again", by=played.name(f"user {person}"))
    for _ in range(100):
        if len(await scene.openai.requests()) > asked:
            break
        await asyncio.sleep(0.05)
    await played.answered(question)
    rightly = judge(played, person, await told(scene) - before, "again")
    await played.note_answer(question)
    return rightly


async def away(played: Played) -> int:
    """Let people ask while no process runs, and lose or get roles before one does."""
    scene, asked = played.scene, list[tuple[int, str]]()
    if played.plan.later == "crash":
        scene.bot.kill()
    else:
        scene.bot.terminate()
        await scene.bot.ended()
    before = await told(scene)
    for person, where, about, way in played.plan.asked:
        question = await played.ask(person, where, about, way) if way in WITHOUT_THE_BOT else None
        if question is not None:
            asked.append((person, question))
            break
    for person, _ in asked:
        await played.change_roles(person, frozenset({0, 1, 2}) - played.roles[person])
    scene.bot.start()
    await scene.bot.ready()
    rightly = 0
    for person, question in asked:
        await played.answered(question)
        rightly += judge(played, person, await told(scene) - before, played.plan.later)
        await played.note_answer(question)
    return rightly


@pytest.mark.parametrize("threads", [False, True])
def test_nobody_reads_through_the_bot_what_they_may_not_read(
    fresh: FreshStage,
    *,
    threads: bool,
) -> None:
    """The bot is stopped and started; with threads, each text channel and forum has them."""
    first = next(_plans)
    names = itertools.product(range(first, first + 20 * EXAMPLES), range(3), ("text", "forum"))
    modes = {room_name(*each): "forum" if each[2] == "forum" else "on_call" for each in names}
    chosen = ",".join(f"{name}={mode}" for name, mode in modes.items())
    speaking = fresh(**({"SKY_THREADS__CHANNELS": chosen} if threads else {}))
    rightly = 0

    @SERVERS
    @given(plan=PLANS)
    def every_plan(plan: Plan) -> None:
        nonlocal rightly
        rightly += asyncio.run(_one(speaking, plan, threads=threads))

    every_plan()
    assert rightly  # what people may read is read: nothing at all would be no proof


async def _one(speaking: Stage, plan: Plan, *, threads: bool) -> int:
    await speaking.bot.ready()
    await speaking.bot.logged("commands synced")
    async with open_scene(speaking) as scene:
        return await play(scene, plan, threads=threads)
