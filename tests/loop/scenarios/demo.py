"""`make demo`: a merge becomes a running bot, another merge replaces it, a revert brings it back.

What is real in it and what a stand-in: see tests/loop/README.md. The exit code is 0 only if every
step came true; when one does not, the last log lines of the part that should have done it are
printed. The loop is left up for looking around.
"""

import argparse
import asyncio
import subprocess
import sys
import time

from tests.loop.people.editions import Editions
from tests.loop.people.explain import comes_true
from tests.loop.people.merge import ROOT, Image
from tests.loop.people.observe import NotSeen, Observer
from tests.loop.people.timeline import Timeline
from tests.loop.supervisor import state
from tests.servers.discord.control import DiscordControl

QUESTION = "Who are you?"
_MINUTE = 60.0


class Demo:
    """The three acts, on one loop."""

    def __init__(self, seen: Observer, discord: DiscordControl) -> None:
        self._seen = seen
        self._discord = discord
        self._timeline = Timeline()
        self._editions = Editions(seen, self._timeline.note)
        self._clone = self._editions.clone

    async def run(self) -> None:
        """Merge, merge, revert; each time the bot answers as it should."""
        await self._editions.prepare()
        await self._merge("Act 1: a merge to main")
        second = await self._merge("Act 2: another merge")
        self._timeline.title("Act 3: git revert of that merge")
        commit = await asyncio.to_thread(self._clone.revert, second)
        reverted = f"git revert {second[:7]} is {commit[:7]}"
        await self._deployed(commit, reverted, builds=False)

    async def _merge(self, title: str) -> str:
        self._timeline.title(title)
        commit = await self._editions.merge()
        number = await self._editions.number()
        await self._deployed(commit, f"{commit[:7]} “Sky introduces herself as edition {number}”")
        return commit

    async def _deployed(self, commit: str, what: str, *, builds: bool = True) -> None:
        """Follow COMMIT from the push until the bot answers as the edition that main has."""
        line = self._timeline
        line.start()
        last_bump = self._seen.now.pushed
        line.add("git", f"pushed to main: {what}")
        image = await self._editions.run(commit)
        self._say_image(image, expect_build=builds)
        await self._seen.until(
            f"the image policy's latest tag is {image.tag}",
            "image-reflector-controller",
            lambda now: now.tag == image.tag,
        )
        line.add("policy", f"latest image is {image.tag}")
        bump = await self._bump(image, last_bump)
        await self._seen.until(
            f"source-controller has fetched {bump[:7]}",
            "source-controller",
            lambda now: now.revision == bump,
        )
        line.add("flux", f"fetched {bump[:7]}, applying apps/discord-sky")
        await self._editions.ready(image.tag)
        pod = self._seen.now.running(image.tag)
        line.add("pod", f"{pod.name if pod else ''} is Ready")
        # Until then two versions listen, and either of them may answer.
        await self._editions.settled()
        line.add("pod", "the old one has finished what it took, and left")
        await self._answered(await self._editions.number())

    def _say_image(self, image: Image, *, expect_build: bool) -> None:
        digest = image.digest.removeprefix("sha256:")[:12]
        if image.built:
            self._timeline.add("image", f"built {digest}")
        else:
            self._timeline.add("image", f"found {digest} by its inputs: nothing is built")
        if not expect_build and image.built:
            raise NotSeen("the revert finds the earlier image without a build", "registry", 0)
        self._timeline.add("registry", f"tagged {image.tag}")

    async def _bump(self, image: Image, last: str) -> str:
        """Wait for the automation's commit after LAST, which deploys IMAGE, and return it."""
        await self._seen.until(
            f"a commit of the automation that sets the tag {image.tag}",
            "image-automation-controller",
            lambda now: now.pushed != last,
        )
        commit = self._seen.now.pushed
        where = "apps/discord-sky/kustomization.yaml"
        if f"newTag: {image.tag} " not in await asyncio.to_thread(self._clone.text, where):
            raise NotSeen(f"newTag: {image.tag} in {where}", "image-automation-controller", 0)
        self._timeline.add("git", f"the automation committed {commit[:7]}: tag and digest")
        return commit

    async def _answered(self, number: int) -> None:
        message = await self._discord.say("general", QUESTION)
        self._timeline.add("discord", f"a user asks: {QUESTION}")
        answer = await self._discord.wait_answer(
            message.id, lambda answer: f"edition {number}" in answer.content, _MINUTE / 2
        )
        self._timeline.add("discord", f"the bot answers: {answer.content}")


async def _play() -> None:
    state.load()  # or LoopDown with the remedy
    async with (
        Observer(str(state.KUBECONFIG)) as seen,
        DiscordControl(f"http://{state.DISCORD_CONTROL}") as discord,
    ):
        await Demo(seen, discord).run()


def main() -> int:
    """Bring the loop up, play the three acts, say where to look."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.parse_args()
    began = time.monotonic()
    up = subprocess.run([sys.executable, "-m", "tests.loop", "up"], cwd=ROOT, check=False)
    if up.returncode != 0:
        return up.returncode
    if not comes_true("The demo", _play()):
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
