"""Deploy, revert of a merge, revert of a bump, and an image that crashes."""

import time

from e2e.cluster import BOT, CONTROLLERS, FLUX
from e2e.person import Image, Person
from e2e.servers import DISCORD_CONTROL, REGISTRY
from e2e.shell import Failed, kubectl, say, wait
from tests.servers.discord.control import DiscordControl

IMAGE = "jsonpath={.spec.template.spec.containers[0].image}"
LATEST = "jsonpath={.status.latestRef.tag}"
FORCED_RUNS = 3


async def play() -> None:
    """Run all four; each begins where the one before ended."""
    async with DiscordControl(f"http://{DISCORD_CONTROL}") as discord:
        await Play(discord).all()


class Play:
    """The expectations, step by step."""

    def __init__(self, discord: DiscordControl, person: Person | None = None) -> None:
        self.discord = discord
        self.person = person or Person()

    async def all(self) -> None:
        """Run them in order."""
        say("== a merge is deployed")
        first = await self.merged(1)
        say("== the revert of a merge brings the earlier image back, without a build")
        commit = self.person.edition(2)
        await self.deployed(self.person.image(commit), 2)
        back = self.person.image(self.person.revert(commit))
        if back.built or back.digest != first.digest:
            raise Failed(f"the revert was to find {first.digest}, and has {back}")
        await self.deployed(back, 1)
        say("== the revert of the automation's commit stays")
        await self.revert_of_a_bump(back)
        say("== an image that crashes leaves the old pod answering, and the revert deploys at once")
        await self.bad_image()

    async def merged(self, edition: int) -> Image:
        """Merge an edition and see it answer."""
        image = self.person.image(self.person.edition(edition))
        await self.deployed(image, edition)
        return image

    async def deployed(self, image: Image, edition: int) -> None:
        """Expect the policy, Git, the pod and the answer to agree on an image."""
        began = time.monotonic()
        wait(FLUX, "imagepolicy/discord-sky", f"{LATEST}={image.tag}")
        self.runs(image)
        await self.answers(edition)
        say(f"   {image.tag} answers, {time.monotonic() - began:.1f} s after its tag")

    def runs(self, image: Image) -> None:
        """Expect the Deployment to have an image and to be rolled out."""
        name = f"{REGISTRY}/discordskybot:{image.tag}@{image.digest}"
        wait(BOT, "deployment/discord-sky-bot", f"{IMAGE}={name}")
        kubectl("-n", BOT, "rollout", "status", "deployment/discord-sky-bot", "--timeout=120s")

    async def answers(self, edition: int) -> None:
        """Ask as a user, and expect the bot to say who it is."""
        asked = await self.discord.say("general", "Who are you?")
        wanted = f"edition {edition}"
        await self.discord.wait_answer(asked.id, lambda answer: wanted in answer.content, 30)

    async def revert_of_a_bump(self, before: Image) -> None:
        """Revert, run the guard, wake the automation in every way, then merge."""
        await self.merged(3)
        self.person.revert(self.person.automated())
        say(self.person.release("guard"))
        self.runs(before)
        for run in range(FORCED_RUNS):
            self.force_automation(f"e2e-{run}")
        for name in CONTROLLERS:
            kubectl("-n", FLUX, "rollout", "restart", f"deployment/{name}")
        for name in CONTROLLERS:
            kubectl("-n", FLUX, "rollout", "status", f"deployment/{name}", "--timeout=180s")
        self.force_automation("e2e-restarted")
        wait(FLUX, "imagepolicy/discord-sky", f"{LATEST}={before.tag}")
        self.runs(before)
        await self.answers(1)
        await self.merged(4)
        say(self.person.release("guard"))

    def force_automation(self, token: str) -> None:
        """Ask for a run of the automation, and wait until it was handled."""
        name = "imageupdateautomation/discord-sky"
        ask = f"reconcile.fluxcd.io/requestedAt={token}"
        kubectl("-n", FLUX, "annotate", "--overwrite", name, ask)
        wait(FLUX, name, f"jsonpath={{.status.lastHandledReconcileAt}}={token}")

    async def bad_image(self) -> None:
        """Merge a bot that crashes; the old one answers until the merge is reverted."""
        commit = self.person.crash()
        bad = self.person.image(commit)
        name = f"{REGISTRY}/discordskybot:{bad.tag}@{bad.digest}"
        wait(BOT, "deployment/discord-sky-bot", f"{IMAGE}={name}")
        wait(FLUX, "kustomization/discord-sky", "condition=Ready=False", 300)
        await self.answers(4)
        await self.deployed(self.person.image(self.person.revert(commit)), 4)
