"""The bench's sections on rotated credentials; what happens is in rotation.py."""

from collections.abc import Awaitable, Callable

from lightkube import AsyncClient

from tests.loop.bench.table import Row, say, say_each
from tests.loop.people.observe import Observer
from tests.loop.scenarios import rotation
from tests.loop.scenarios.rotation import KEY, TOKEN, VaultAway

_RESETS = 3
_LATE = 600.0  # seconds between a token's reset and the person who sets the new one
_AWAY = 120.0


async def rows(seen: Observer, api: AsyncClient, runs: int | None) -> list[Row]:
    """Keys under load, tokens at once, and the vault away."""
    return [
        *await _keys(seen, runs or 1),
        *await _resets(seen, 0.0, runs or _RESETS),
        *await _away(seen, api),
    ]


async def late_rows(seen: Observer) -> list[Row]:
    """A token whose new version comes ten minutes after the reset."""
    return await _resets(seen, _LATE, 1)


async def _keys(seen: Observer, runs: int) -> list[Row]:
    answered = Row("OpenAI key rotated 3 times: answered of 200", "", "200")
    refused = Row("  requests refused meanwhile, and asked again", "")
    changed = Row("  pod restarts, or another process", "", "0")
    for _ in range(runs):
        seen_so = await rotation.keys_under_load(seen)
        answered.figures.append(seen_so.load.exact)
        refused.figures.append(seen_so.refused)
        changed.figures.append(seen_so.restarts + (not seen_so.same_process))
        say(f"keys: {seen_so.load.exact} of {seen_so.load.asked} in {seen_so.load.seconds:.0f} s")
        say_each(seen_so.load.wrong)
    return [answered, refused, changed]


async def _resets(seen: Observer, wait: float, runs: int) -> list[Row]:
    when = f"{wait:.0f} s after the reset" if wait else "at once"
    again = Row(f"Discord token, new version {when}: answers again", "s", "≤ 5")
    wrong = Row("  asked in between and not answered once", "", "0")
    spent = Row("  identifies", "", "≤ 2")
    fresh = Row("  file that was not stale, or another process", "", "0")
    for _ in range(runs):
        reset = await rotation.token_reset(seen, wait)
        again.figures.append(reset.again)
        not_once = [f for f in reset.between.fates if f.whole is None or f.doubled]
        wrong.figures.append(len(not_once))
        spent.figures.append(reset.identifies)
        fresh.figures.append((not reset.stale) + (not reset.same_process))
        say(f"token {when}: {reset.again:.2f} s, {reset.identifies} identifies; {reset.between}")
        say_each(reset.between.wrong())
    return [again, wrong, spent, fresh]


async def _away(seen: Observer, api: AsyncClient) -> list[Row]:
    cases: list[tuple[str, Callable[[], Awaitable[VaultAway]]]] = [
        ("OpenAI key", lambda: rotation.away_at_rotation(KEY, _AWAY)),
        ("Discord token", lambda: rotation.away_at_rotation(TOKEN, _AWAY)),
        ("first start", lambda: rotation.away_at_first_start(seen, api, _AWAY)),
    ]
    found = []
    for what, away in cases:
        gone = await away()
        say(f"vault away for {_AWAY:.0f} s, {what}: {gone.recovered:.1f} s; {gone.load}")
        say_each(gone.load.wrong())
        not_once = [f for f in gone.load.fates if f.whole is None or f.doubled]
        found += [
            Row(f"vault away 2 min, {what}: its return to an answer", "s", "", [gone.recovered]),
            Row("  messages not answered once", "", "0", [len(not_once)]),
        ]
    return found
