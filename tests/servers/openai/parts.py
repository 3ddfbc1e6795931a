"""The parts of which a message's content is made, in both APIs."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from .validation import Strict


def _image_address(url: str) -> str:
    if not url.startswith(("https://", "http://", "data:image/")):
        raise ValueError("Invalid 'image_url'. Expected a valid URL or a base64 data URL.")
    return url


ImageAddress = Annotated[str, AfterValidator(_image_address)]


class InputText(Strict):
    """Text that a person or the instructions say (Responses)."""

    type: Literal["input_text"]
    text: str


class InputImage(Strict):
    """An image to look at (Responses)."""

    type: Literal["input_image"]
    image_url: ImageAddress
    detail: Literal["auto", "low", "high", "original"] = "auto"


class InputFile(Strict):
    """A file to read (Responses)."""

    type: Literal["input_file"]
    filename: str | None = None
    file_data: str | None = None
    file_url: str | None = None


class OutputText(Strict):
    """Text that the model said (Responses)."""

    type: Literal["output_text"]
    text: str
    annotations: tuple[Any, ...] | list[Any] = ()
    logprobs: list[Any] | None = None


class Refusal(Strict):
    """What the model said when it refused (both APIs)."""

    type: Literal["refusal"]
    refusal: str


class Text(Strict):
    """Text (Chat Completions)."""

    type: Literal["text"]
    text: str


class ImageUrl(Strict):
    """Where an image is, and how closely to look."""

    url: ImageAddress
    detail: Literal["auto", "low", "high"] = "auto"


class Image(Strict):
    """An image to look at (Chat Completions)."""

    type: Literal["image_url"]
    image_url: ImageUrl


Part = InputText | InputImage | InputFile | OutputText | Refusal | Text | Image


def text_of(part: Part) -> str:
    """Give a part's words."""
    if isinstance(part, Refusal):
        return part.refusal
    return part.text if isinstance(part, InputText | OutputText | Text) else ""


def image_of(part: Part) -> str:
    """Give a part's image address; of a data URL only what kind it is."""
    if isinstance(part, InputImage):
        url = part.image_url
    elif isinstance(part, Image):
        url = part.image_url.url
    else:
        return ""
    return url.split(",", 1)[0] if url.startswith("data:") else url
