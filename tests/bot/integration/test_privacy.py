"""Content and credentials stay out of the log, also when things go wrong."""

import asyncio

from bot.domain import errors

from .scenario import Scene

TROUBLE = ("unauthorized", "server_error", "malformed", "error_event", "reset", "context_length")


async def test_no_word_and_no_credential_is_in_the_log(scene: Scene) -> None:
    secret = "marmalade-sandwich"
    await scene.answer(await scene.call(f"{secret} one"))
    await scene.answer(await scene.whisper(f"{secret} two", by="Hana"))

    async def fail(fault: str, place: str) -> None:
        question = await scene.call(f"{secret} [[fault={fault}]]", where=place)
        await scene.until(question, lambda seen: any(told in seen.text for told in _sentences()))

    await asyncio.gather(*map(fail, TROUBLE, scene.elsewhere(len(TROUBLE))))

    await scene.answer(await scene.call(f"{secret} three"))  # its key is trusted again

    log = scene.bot.log.read_text()
    assert secret not in log
    assert "You said" not in log
    assert all(name not in log for name in ("Ada:", "Hana"))
    for value in (scene.stage.token.value, scene.stage.api_key.value):
        assert value not in log
        assert value[-12:] not in log
    assert scene.bot.lines()


def _sentences() -> list[str]:
    every = [errors.SkyError]
    for kind in every:
        every += kind.__subclasses__()
    return [kind.sentence for kind in every]
