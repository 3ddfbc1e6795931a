"""`make demo`: a merge becomes a running bot, another merge replaces it, a revert brings it back.

Everything is real but Discord, OpenAI and GitHub's runner: see tests/loop/README.md. The exit code
is 0 only if every step came true; when one does not, the last log lines of the part that should
have done it are printed. The loop is left up for looking around.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import time
from pathlib import Path

from tests.loop.discord_server.control import DiscordControl

from tests.loop import state
from tests.loop.images import BuildFailed
from tests.loop.merge import ROOT, Clone, GitFailed, Image, ImageWorkflow
from tests.loop.observe import NotSeen, Observer
from tests.loop.timeline import Timeline

PERSONA = "bot/personas.py"
QUESTION = "Who are you?"
_EDITION = re.compile(r"You are Sky(?: \(edition (\d+)\))?")
_MINUTE = 60.0
_LOG_LINES = 15


def edition(text: str) -> int:
    """Return which edition of the default persona TEXT holds; 0 where it says none."""
    found = _EDITION.search(text)
    if found is None:
        raise NotSeen(f"the sentence that begins with 'You are Sky' in {PERSONA}", "git", 0)
    return int(found[1] or 0)


class Demo:
    """The three acts, on one loop."""

    def __init__(self, seen: Observer, discord: DiscordControl) -> None:
        self._seen = seen
        self._discord = discord
        self._clone = Clone(state.GIT_URL, state.STATE / "workspace")
        self._timeline = Timeline()
        self._workflow = ImageWorkflow(self._clone, state.REGISTRY, self._timeline.note)

    async def run(self) -> None:
        """Merge, merge, revert; each time the bot answers as it should."""
        await asyncio.to_thread(self._workflow.prepare)
        first = edition(self._clone.text(PERSONA)) + 1
        await self._merge("Act 1: a merge to main", first)
        second = await self._merge("Act 2: another merge", first + 1)
        self._timeline.title("Act 3: git revert of that merge")
        commit = await asyncio.to_thread(self._clone.revert, second)
        await self._deployed(
            commit, f"git revert {second[:7]} is {commit[:7]}", first, builds=False
        )

    async def _merge(self, title: str, number: int) -> str:
        def edit(tree: Path) -> None:
            source = tree / PERSONA
            changed = _EDITION.sub(f"You are Sky (edition {number})", source.read_text(), count=1)
            source.write_text(changed)

        self._timeline.title(title)
        subject = f"Sky introduces herself as edition {number}"
        commit = await asyncio.to_thread(self._clone.merge, subject, edit)
        await self._deployed(commit, f"{commit[:7]} “{subject}”", number)
        return commit

    async def _deployed(self, commit: str, what: str, number: int, *, builds: bool = True) -> None:
        """Follow COMMIT from the push until the bot answers as edition NUMBER."""
        line = self._timeline
        line.start()
        line.add("git", f"pushed to main: {what}")
        image = await asyncio.to_thread(self._workflow.run, commit)
        self._say_image(image, expect_build=builds)
        await self._seen.until(
            f"the image policy's latest tag is {image.tag}",
            "image-controllers",
            lambda now: now.tag == image.tag,
        )
        line.add("policy", f"latest image is {image.tag}")
        bump = await self._bump(image)
        await self._seen.until(
            f"source-controller has fetched {bump[:7]}",
            "source-controller",
            lambda now: now.revision == bump,
        )
        line.add("flux", f"fetched {bump[:7]}, applying apps/discord-sky")
        await self._seen.until(
            f"a Ready pod runs {image.tag}",
            "kubelet",
            lambda now: now.running(image.tag) is not None,
            2 * _MINUTE,
        )
        pod = self._seen.now.running(image.tag)
        line.add("pod", f"{pod.name if pod else ''} is Ready")
        await self._answered(number)

    def _say_image(self, image: Image, *, expect_build: bool) -> None:
        digest = image.digest.removeprefix("sha256:")[:12]
        if image.built:
            self._timeline.add("image", f"built {digest}")
        else:
            self._timeline.add("image", f"found {digest} by its inputs: nothing is built")
        if not expect_build and image.built:
            raise NotSeen("the revert finds the earlier image without a build", "registry", 0)
        self._timeline.add("registry", f"tagged {image.tag}")

    async def _bump(self, image: Image) -> str:
        """Wait for the automation's commit that deploys IMAGE and return it."""
        before = await asyncio.to_thread(self._clone.head)
        wanted = f"newTag: {image.tag} "
        where = "apps/discord-sky/kustomization.yaml"
        if wanted not in await asyncio.to_thread(self._clone.text, where):
            await self._seen.until(
                f"a commit of the automation that sets the tag {image.tag}",
                "image-controllers",
                lambda now: now.pushed not in {"", before},
            )
        if wanted not in await asyncio.to_thread(self._clone.text, where):
            raise NotSeen(f"{wanted.strip()} in {where}", "image-controllers", 0)
        commit = self._clone.head()
        self._timeline.add("git", f"the automation committed {commit[:7]}: tag and digest")
        return commit

    async def _answered(self, number: int) -> None:
        message = await self._discord.say("general", QUESTION)
        self._timeline.add("discord", f"a user asks: {QUESTION}")
        answer = await self._discord.wait_answer(
            message.id, lambda texts: f"edition {number}" in "".join(texts), _MINUTE / 2
        )
        self._timeline.add("discord", f"the bot answers: {''.join(answer)}")


def _tail(part: str) -> str:
    log = state.LOGS / f"{part}.log"
    if not log.exists():
        return ""
    lines = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
    return "\n".join([f"\nThe last lines of {log}:", *lines])


async def _play() -> int:
    state.load()  # or LoopDown with the remedy
    async with (
        Observer(str(state.KUBECONFIG)) as seen,
        DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord,
    ):
        await Demo(seen, discord).run()
    return 0


def main() -> int:
    """Bring the loop up, play the three acts, say where to look."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.parse_args()
    began = time.monotonic()
    up = subprocess.run([sys.executable, "-m", "tests.loop", "up"], cwd=ROOT, check=False)
    if up.returncode != 0:
        return up.returncode
    try:
        asyncio.run(_play())
    except* (NotSeen, GitFailed, BuildFailed, TimeoutError) as group:
        for error in group.exceptions:
            print(f"\nThe demo did not come true: {error}", _tail(getattr(error, "part", "")))
        print("\nThe loop is still up: `make loop-status`, `make loop-logs`, `make loop-down`.")
        return 1
    print(_LOOK_AROUND.format(seconds=time.monotonic() - began, state=state.STATE))
    return 0


_LOOK_AROUND = """
All of it came true in {seconds:.0f} s. The loop is still up:

  make chat          talk to the bot as a user of the stand-in server
  make loop-status   processes, addresses, kubeconfig, logs
  make loop-down     stop it and remove everything it made

  git clone the repository it runs, merge something of your own, and watch:
  eval "$(.venv/bin/python -m tests.tools env)"; export KUBECONFIG={state}/kubeconfig
  kubectl -n discord-sky get pods -w
"""

if __name__ == "__main__":
    sys.exit(main())
