"""The state that explains a failed scenario."""

from e2e.cluster import BOT, CONTROLLERS, FLUX
from e2e.servers import STATE
from e2e.shell import Failed, run, say

LINES = "--tail=60"
QUESTIONS: list[tuple[str, ...]] = [
    ("flux", "get", "all", "--all-namespaces"),
    ("kubectl", "get", "pods,deployments", "--all-namespaces", "-o", "wide"),
    ("kubectl", "-n", BOT, "describe", "pods"),
    ("kubectl", "get", "events", "--all-namespaces", "--sort-by=.lastTimestamp"),
    ("kubectl", "-n", FLUX, "get", "-o", "yaml",
     "imagerepository,imagepolicy,imageupdateautomation,kustomization"),
    ("kubectl", "-n", BOT, "logs", "deployment/discord-sky-bot", "--all-pods", LINES),
    *(("kubectl", "-n", FLUX, "logs", f"deployment/{name}", LINES) for name in CONTROLLERS),
    ("git", "--git-dir", str(STATE / "git/discord-sky.git"), "log", "--stat", "-12", "main"),
]  # fmt: skip


def show() -> None:
    """Print the output of each command; one that fails does not stop the others."""
    for question in QUESTIONS:
        say(f"::group::{' '.join(question)}")
        try:
            say(run(*question))
        except Failed as error:
            say(str(error))
        say("::endgroup::")
    for log in sorted(STATE.glob("*.log")):
        say(f"::group::{log.name}\n{log.read_text(errors='replace')[-6000:]}\n::endgroup::")
