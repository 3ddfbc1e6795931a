"""What a press of a button does, and what the one who pressed reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from bot.admission.admission_control import AdmissionControl
from bot.answers.dispatcher import Dispatcher
from bot.answers.pipeline import Services
from bot.context.attachments import AttachmentReader
from bot.context.message_cache import MessageCache
from bot.discord.buttons import ButtonHandler, ButtonPress, PressResponse
from bot.domain.errors import DiscordDown
from bot.domain.messages import Author, Message, Post
from bot.observability.metrics import Metrics
from bot.reply import button_ids
from bot.reply.button_ids import Act, ButtonId
from bot.reply.edit_rates import EditRate
from bot.settings.schema import AccessSettings, LimitsSettings, ReplySettings, Settings
from tests.bot.unit.fakes import Archive, FakeFileSource, FakeModel, FakeSink, open_guard

ME = 7
QUESTION = Message(id=5, channel_id=10, author=Author(1, "Ada"), text="hello")


class Library(Archive):
    """An archive that knows the answers, too."""

    sink: FakeSink

    async def answers(self, channel_id: int, question_id: int, me: int) -> list[int]:
        """See Archive."""
        assert (channel_id, question_id, me) == (10, 5, ME)
        return list(self.sink.posts)


class Broken(Library):
    """An archive that cannot be asked."""

    async def fetch(self, channel_id: int, message_id: int) -> Message | None:
        """See Archive."""
        raise DiscordDown(f"{channel_id} {message_id}")


@dataclass
class Bot:
    """A desk, and people who press."""

    model: FakeModel = field(default_factory=FakeModel)
    limits: LimitsSettings = field(default_factory=LimitsSettings)
    sink: FakeSink = field(default_factory=FakeSink)
    library: Library = field(default_factory=lambda: Library(QUESTION))
    metrics: Metrics = field(default_factory=Metrics)
    access: AccessSettings = field(default_factory=AccessSettings)

    def __post_init__(self) -> None:
        reply = ReplySettings(first_words_seconds=0.01)
        settings = Settings(reply=reply, limits=self.limits, access=self.access)
        admission = AdmissionControl(settings, self.metrics)
        services = Services(
            settings,
            MessageCache(),
            self.library,
            self.model,
            self.sink,
            EditRate(0.02),
            self.metrics,
            admission,
            AttachmentReader(FakeFileSource(), settings.files),
            open_guard(settings, self.metrics),
        )
        self.dispatcher = Dispatcher(services)
        self.library.sink = self.sink
        self.button_handler = ButtonHandler(
            self.dispatcher, self.library, self.metrics, patience=0.05
        )

    async def press(
        self, act: Act, by: int = 1, below: int = 5000, number: int = 99
    ) -> PressResponse:
        """Press a button of the answer to the question."""
        response = await self.button_handler.pressed(
            ButtonPress(number, ButtonId(act, 1, 10, 5), Author(by, "Ada"), below, ME, 3)
        )
        if response.then is not None:  # Discord took it
            response.then()
        return response

    async def answered(self) -> None:
        """Ask the question and wait for its answer."""
        self.dispatcher.receive(QUESTION, ME)
        await self.idle()

    async def idle(self) -> None:
        """Wait until nothing is being written."""
        async with asyncio.timeout(5):
            while self.dispatcher.is_answering(QUESTION.id):  # noqa: ASYNC110  # nobody tells
                await asyncio.sleep(0.005)


async def test_stop_ends_the_answer_with_a_word_and_keeps_what_was_said() -> None:
    bot = Bot(FakeModel("Once upon a time", released=asyncio.Event()))
    bot.dispatcher.receive(QUESTION, ME)
    await bot.sink.said.wait()

    assert await bot.press("stop") == PressResponse("done")
    await bot.idle()

    assert list(bot.sink.messages.values()) == ["Once upon a time\n-# Stopped, as you asked."]
    assert bot.sink.labels == [["Again"]]


@pytest.mark.parametrize("act", ["stop", "again"])
async def test_only_the_one_who_asked_may_press(act: Act) -> None:
    bot = Bot(FakeModel("Once", released=asyncio.Event()))
    bot.dispatcher.receive(QUESTION, ME)
    await bot.sink.said.wait()

    response = await bot.press(act, by=2)

    assert response == PressResponse("not_theirs", "Only the person who asked can use that button.")
    assert bot.dispatcher.is_answering(QUESTION.id)


async def test_again_answers_anew_in_the_place_of_the_old_answer() -> None:
    bot = Bot(FakeModel("First try."))
    await bot.answered()
    bot.model.text = "Second try."

    response = await bot.press("again")
    await bot.idle()

    assert response == PressResponse("done", clear=True)
    assert bot.sink.messages == {5000: "Second try."}
    assert len(bot.model.asked) == 2


async def test_whoever_the_lists_bar_by_now_has_nothing_answered_again() -> None:
    bot = Bot(access=AccessSettings(block_users=("1",)))

    response = await bot.press("again")

    assert response.outcome == "person"
    assert response.sentence is not None
    assert response.sentence.startswith("I can't answer you here.")
    assert bot.model.asked == []


async def test_stop_after_the_end_is_told_a_moment_later_and_the_button_goes() -> None:
    response = await Bot().press("stop")

    assert response.sentence == ("There is nothing to stop: that answer is already finished.")
    assert response.clear


async def test_again_while_it_is_being_written_is_told() -> None:
    bot = Bot(FakeModel("Once", released=asyncio.Event()))
    bot.dispatcher.receive(QUESTION, ME)
    await bot.sink.said.wait()

    response = await bot.press("again")

    assert response == PressResponse("writing", "I'm already writing that answer.")


class LateSink(FakeSink):
    """Discord that shows the end of an answer at once, and confirms it when it is told to."""

    confirmed: asyncio.Event

    async def send(self, to: Message, post: Post, nonce: str, channel_id: int) -> int:
        """See FakeSink."""
        number = await super().send(to, post, nonce, channel_id)
        if any(button.label == "Again" for button in post.buttons):
            await self.confirmed.wait()
        return number


async def test_again_before_discord_has_confirmed_the_answer_waits_for_that() -> None:
    sink = LateSink()
    sink.confirmed = asyncio.Event()
    bot = Bot(FakeModel("First try."), sink=sink)
    bot.dispatcher.receive(QUESTION, ME)
    await sink.said.wait()
    assert sink.labels == [["Again"]]

    twice = asyncio.gather(bot.press("again"), bot.press("again", number=100))
    await asyncio.sleep(0)
    sink.confirmed.set()
    responses = await twice

    assert sorted(response.outcome for response in responses) == ["done", "writing"]
    await bot.idle()
    assert len(bot.model.asked) == 2


async def test_two_presses_at_once_are_one_answer() -> None:
    bot = Bot(FakeModel("First try."))
    await bot.answered()
    bot.model.released = asyncio.Event()

    responses = await asyncio.gather(bot.press("again"), bot.press("again", number=100))

    assert sorted(response.outcome for response in responses) == ["done", "writing"]
    bot.model.released.set()
    await bot.idle()
    assert len(bot.model.asked) == 2


@pytest.mark.parametrize("library", [Library(), Broken(QUESTION)])
async def test_again_that_comes_to_nothing_is_no_call_of_the_hour(library: Library) -> None:
    bot = Bot(library=library, limits=LimitsSettings(user_per_hour=1))

    outcomes = [(await bot.press("again")).outcome for _ in range(3)]

    assert outcomes in [["gone"] * 3, ["discord_down"] * 3]
    bot.library.messages[QUESTION.id] = QUESTION
    await bot.answered()
    assert len(bot.model.asked) == 1


async def test_a_press_that_another_pod_acknowledged_gives_back_what_it_booked() -> None:
    bot = Bot(limits=LimitsSettings(user_per_hour=1))

    async def taken() -> None:
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await bot.button_handler.pressed(
            ButtonPress(99, ButtonId("again", 1, 10, 5), QUESTION.author, 1, ME), taken
        )

    assert not bot.dispatcher.is_answering(QUESTION.id)
    await bot.answered()
    assert len(bot.model.asked) == 1


async def test_again_without_its_question_is_told_and_the_button_goes() -> None:
    bot = Bot(library=Library())

    response = await bot.press("again")

    assert response.sentence is not None
    assert "has been deleted" in response.sentence
    assert response.clear


async def test_again_while_discord_does_not_answer_is_told_and_the_button_stays() -> None:
    bot = Bot(library=Broken(QUESTION))

    response = await bot.press("again")

    assert response.sentence is not None
    assert response.sentence.startswith("I can't read your question on Discord right now.")
    assert not response.clear


async def test_again_counts_like_a_call() -> None:
    bot = Bot(limits=LimitsSettings(user_per_hour=2))
    await bot.answered()
    await bot.press("again")
    await bot.idle()

    response = await bot.press("again")

    assert response.sentence is not None
    assert response.sentence.startswith("You've reached the hourly limit per person")
    assert response.outcome == "over_limit"


async def test_a_pod_that_stops_leaves_again_to_its_successor() -> None:
    bot = Bot()
    await bot.dispatcher.drain()

    response = await bot.press("again")

    assert response == PressResponse("restarting", "I'm restarting. Please try again in a minute.")
    assert not bot.dispatcher.is_answering(QUESTION.id)


@pytest.mark.parametrize("text", ["", "sky:stop:1:2", "sky:delete:1:2:3", "sky:stop:1:2:3x", "x"])
def test_what_is_no_button_of_an_answer_is_not_read_as_one(text: str) -> None:
    assert button_ids.read(text) is None


def test_what_is_written_on_a_button_is_read_back() -> None:
    mark = button_ids.read(button_ids.button("again", QUESTION).id)

    assert mark == ButtonId("again", 1, 10, 5)
