"""Everything that can be wrong with a secret at its rotation: what the bot says, how it ends well.

The old key is refused throughout, so people wait; once the operator has fixed it, the
answer comes, and nobody has read an error.
"""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.servers.keyvault.harness import BOT, Harness
from tests.servers.keyvault.records import Fault, FaultKind, Identity
from tests.servers.openai.keys import digest

from .conftest import FreshStage
from .servers import new_token
from .with_key_vault import KEY, TOKEN, Vaulted, vaulted

GOOD = "sk-loop-the-good-one"
Gesture = Callable[[Vaulted], Coroutine[Any, Any, None]]


async def disable(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    story.enable(KEY, on=False)


async def enable(story: Vaulted) -> None:
    story.enable(KEY, on=True)


async def delete(story: Vaulted) -> None:
    story.azure.server.store.delete(KEY)


async def recover(story: Vaulted) -> None:
    story.azure.server.store.recover(KEY)
    story.set(KEY, GOOD)


async def take_role(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    await story.azure.control.put(
        Identity(name="bot", client_id=BOT.client_id, federations=BOT.federations)
    )


async def give_role(story: Vaulted) -> None:
    await story.azure.control.put(BOT)


async def cut_off(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    await story.azure.control.begin(Fault(kind=FaultKind.UNREACHABLE))


async def cut_off_entra(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    await story.azure.control.begin(Fault(kind=FaultKind.UNREACHABLE, where="token"))


async def throttle(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    await story.azure.control.begin(Fault(kind=FaultKind.THROTTLED))


async def fix(story: Vaulted) -> None:
    await story.azure.control.clear()


async def let_token_expire(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    _token_file(story).write_text(story.azure.token(age=7200))


async def renew_token(story: Vaulted) -> None:
    _token_file(story).write_text(story.azure.token())


async def skew_clock(story: Vaulted) -> None:
    story.set(KEY, GOOD)
    await story.azure.control.clock(-7200)


async def set_clock(story: Vaulted) -> None:
    await story.azure.control.clock(0)


def _token_file(story: Vaulted) -> Path:
    return story.azure.folder / "azure-identity-token"


@dataclass(frozen=True)
class Row:
    """What is wrong, the label that the log gives it, and how it is fixed."""

    name: str
    spoil: Gesture
    label: str
    fix: Gesture


ROWS = [
    Row("disabled", disable, "disabled", enable),
    Row("deleted", delete, "missing", recover),
    Row("no permission", take_role, "denied", give_role),
    Row("vault down at rotation", cut_off, "unreachable", fix),
    Row("token endpoint down at rotation", cut_off_entra, "unreachable", fix),
    Row("vault throttles", throttle, "busy", fix),
    Row("expired workload token", let_token_expire, "identity_expired", renew_token),
    Row("clock skew", skew_clock, "identity_expired", set_clock),
]


async def answered(story: Vaulted, question: str) -> None:
    answer = await story.scene.answer(question)
    assert len(answer.parts) == 1
    # A first start also answers what other stories asked in its last minute and got no answer to.
    found = await story.scene.bot.metric("caught_up_total", outcome="answered")
    assert await story.scene.bot.metric("answers_total", outcome="complete") == 1 + found
    assert await story.scene.bot.metric("answers_total") == 1 + found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_what_is_wrong_is_named_and_the_answer_comes_when_it_is_fixed(
    azure: Harness, fresh: FreshStage, row: Row
) -> None:
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        await row.spoil(story)
        await story.scene.openai.accept(GOOD)
        question = await story.scene.call("does this get through?")

        line = await story.scene.bot.logged("Key Vault request failed", error=row.label)
        ready = await story.scene.bot.get("/readyz")
        await row.fix(story)

        await answered(story, question)
        assert line["remedy"]
        assert line["secret"] == KEY
        assert ready == (503, "there is no usable key for the language model\n")
        assert await story.shows("keyvault_requests_total", outcome=row.label) >= 1
        assert (await story.scene.bot.get("/readyz"))[0] == 200


async def test_no_permission_names_who_lacks_what(azure: Harness, fresh: FreshStage) -> None:
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        await take_role(story)
        await story.scene.openai.accept(GOOD)
        await story.scene.call("does this get through?")

        line = await story.scene.bot.logged("Key Vault request failed", error="denied")

        assert BOT.client_id in line["remedy"]
        assert "getSecret" in line["remedy"]


async def test_vault_slow_is_waited_for(azure: Harness, fresh: FreshStage) -> None:
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        story.set(KEY, GOOD)
        await azure.control.begin(Fault(kind=FaultKind.SLOW, delay=3, secret=KEY))
        await story.scene.openai.accept(GOOD)

        await answered(story, await story.scene.call("slowly"))

        assert story.asked("get", KEY) == 1


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        pytest.param("", "empty", id="empty secret"),
        pytest.param(new_token(), "token for Discord", id="wrong kind of token"),
        pytest.param("sk-loop with words", "white space", id="a sentence"),
    ],
)
async def test_a_value_that_cannot_be_a_key_is_not_tried(
    azure: Harness, fresh: FreshStage, value: str, problem: str
) -> None:
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        story.set(KEY, value)
        await story.scene.openai.accept(GOOD)
        question = await story.scene.call("does this get through?")
        line = await story.scene.bot.logged("credential rejected", credential="openai")
        story.set(KEY, GOOD)

        await answered(story, question)

        assert problem in line["problem"]
        assert digest(value) not in {r.key for r in await story.scene.openai.requests()}


async def test_a_trailing_newline_is_dropped(azure: Harness, fresh: FreshStage) -> None:
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        story.set(KEY, GOOD + "\r\n")
        await story.scene.openai.accept(GOOD)

        await answered(story, await story.scene.call("does this get through?"))


@pytest.mark.parametrize(
    "value", ["", new_token(), "sk-loop-mistaken"], ids=["empty secret", "wrong kind", "mistaken"]
)
async def test_a_bad_value_in_the_file_harms_nobody_while_the_old_one_is_good(
    azure: Harness, fresh: FreshStage, value: str
) -> None:
    async with vaulted(azure, fresh) as story:
        await story.scene.bot.ready()
        first = await story.scene.call("before")
        await story.scene.answer(first)
        story.stage.api_key.swap(value)
        expected = "credential read" if value == "sk-loop-mistaken" else "credential rejected"
        await story.scene.bot.logged(expected, credential="openai", source="file")
        story.stage.api_key.all_values.remove(value)  # an empty one is in every log

        after = await story.scene.call("after")
        answer = await story.scene.answer(after)

        assert len(answer.parts) == 1
        assert (await story.scene.bot.get("/readyz"))[0] == 200


async def test_vault_down_at_first_start_is_waited_out(azure: Harness, fresh: FreshStage) -> None:
    """There is no file either: the driver asks the same vault."""
    await azure.control.begin(Fault(kind=FaultKind.UNREACHABLE))
    async with vaulted(azure, fresh, token="-", key="-") as story:
        await story.scene.bot.probe("/livez", 200)
        await story.scene.bot.logged("Key Vault request failed", error="unreachable")
        not_ready = (await story.scene.bot.get("/readyz"))[0]
        await azure.control.clear()
        await story.scene.bot.ready()

        await answered(story, await story.scene.call("at last"))

        assert not_ready == 503


async def test_two_rotations_at_once_of_both_secrets(azure: Harness, fresh: FreshStage) -> None:
    async with vaulted(azure, fresh) as story:
        scene = story.scene
        await scene.bot.ready()
        before, token = await scene.discord.counts(), new_token()
        question = await scene.call("in the middle of it [[first=0.5]]")
        story.set(KEY, "sk-loop-passing")
        story.set(TOKEN, new_token())
        await scene.discord.accept_token(token)
        await scene.openai.accept(GOOD)
        missed = await scene.call("and this")
        story.set(TOKEN, token)
        story.set(KEY, GOOD)

        for asked in (question, missed):
            assert len((await scene.answer(asked)).parts) == 1
        assert (await scene.discord.counts()).identifies - before.identifies <= 2
        assert await story.shows("credential_info", name="openai", sha256=digest(GOOD)) == 1


async def test_a_token_of_the_wrong_kind_costs_no_login(azure: Harness, fresh: FreshStage) -> None:
    async with vaulted(azure, fresh, token="sk-loop-in-the-wrong-place") as story:
        scene = story.scene
        before = await scene.discord.counts()
        await scene.bot.logged("credential rejected", credential="discord", source="file")

        await scene.bot.ready()  # with the vault's

        after = await scene.discord.counts()
        assert after.unauthorized == before.unauthorized
        assert after.identifies - before.identifies == 1
