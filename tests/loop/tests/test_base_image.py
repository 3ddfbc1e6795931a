"""The stand-in for the Dockerfile's base image: one for each digest, under no name of its own."""

from pathlib import Path

import pytest

from tests.loop.cluster.images import Builder, BuildFailed, base_of

ROOT = Path(__file__).resolve().parents[3]
NAME = "docker.io/library/python:3.13-slim-trixie"
DIGEST = "@sha256:" + 64 * "a"


def dockerfile(folder: Path, text: str) -> Path:
    path = folder / "Dockerfile"
    path.write_text(text)
    return path


def test_the_bots_image_comes_from_one_base_with_tag_and_digest() -> None:
    assert base_of(ROOT / "Dockerfile").startswith(f"{NAME}@sha256:")


@pytest.mark.parametrize(
    "text",
    [
        f"FROM {NAME}\n",
        f"FROM {NAME}{DIGEST} AS build\nFROM {NAME}\n",
        f"FROM {NAME}{DIGEST} AS build\nFROM debian:13{DIGEST}\n",
        "COPY a b\n",
    ],
)
def test_a_base_without_digest_and_a_second_base_are_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(BuildFailed, match="one base image by tag@sha256"):
        base_of(dockerfile(tmp_path, text))


def test_a_new_digest_of_the_base_is_a_new_image(tmp_path: Path) -> None:
    """The digest is in the image's configuration, so nothing of the old one is taken for it."""
    builder = Builder(print)
    bases = [f"{NAME}@sha256:{digit * 64}" for digit in "ab"]
    labels = []
    for number, base in enumerate(bases):
        text = (
            f"FROM {base} AS build\nRUN touch /made\nFROM {base}\nCOPY --from=build /made /made\n"
        )
        dockerfile(tmp_path, text)

        config = builder.export(tmp_path, tmp_path / str(number))

        labels.append(config["Labels"]["loop.base"])
        assert (tmp_path / str(number) / "made").exists()
    assert labels == bases
