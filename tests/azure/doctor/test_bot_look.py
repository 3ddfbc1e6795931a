"""The doctor reads the bot's own series and log lines: by the names that the bot gives them."""

from bot.metrics import Metrics
from clusters.azure.doctor import bot_look


def test_the_series_that_the_chain_is_told_from_are_the_bots() -> None:
    metrics = Metrics()
    for name in ("discord", "openai"):
        metrics.credential.labels(name).set(1)
        metrics.credential_usable.labels(name).set(0)
    metrics.gateway_open.set(1)
    metrics.model.labels("ok").inc(2)
    metrics.messages.labels("answer").inc()

    found = bot_look.samples(metrics.render().decode())

    assert found == {
        'credential_present{name="discord"}': 1,
        'credential_present{name="openai"}': 1,
        'credential_usable{name="discord"}': 0,
        'credential_usable{name="openai"}': 0,
        "gateway_open": 1,
        'model_requests_total{outcome="ok"}': 2,
    }
