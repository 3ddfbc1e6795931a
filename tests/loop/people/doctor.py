"""A person who runs the doctor on the loop's cluster."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.loop.cluster import secrets_store
from tests.loop.supervisor import state
from tests.tools import tool


async def examine(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run the doctor as a person does, with the loop's kubectl and the way to its Azure."""
    environment = {
        **os.environ,
        **secrets_store.azure_environment(),
        "KUBECONFIG": str(state.KUBECONFIG),
        "PATH": f"{tool('kubectl').parent}:{os.environ['PATH']}",
    }
    command = [sys.executable, "-m", "clusters.azure.doctor", "--json", *arguments]
    facts = f"--facts={folder / ('passive' if arguments else 'asked')}.json"
    done = await asyncio.to_thread(
        lambda: subprocess.run(
            [*command, facts], check=False, capture_output=True, text=True, env=environment
        )
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)
