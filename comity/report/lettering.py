"""Fits text into pictures: one font, lines that are short enough."""

from functools import cache
from pathlib import Path

import matplotlib
from PIL import ImageFont


@cache
def font(size: int, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Returns DejaVu Sans, which comes with matplotlib and contains the arrows."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    return ImageFont.truetype(str(folder / ("DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf")), size)


def fitted(text: str, face: ImageFont.FreeTypeFont, width: float) -> str:
    """Returns the text on one line, cut with "…" if it is wider than `width` pixels."""
    text = " ".join(text.split())
    if face.getlength(text) <= width:
        return text
    while text and face.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"


def wrapped(text: str, face: ImageFont.FreeTypeFont, width: float, lines: int) -> list[str]:
    """Returns the text on at most `lines` lines; the last line is cut if needed. Returns [] for no text."""
    words, result = text.split(), []
    while words and len(result) < lines - 1:
        taken = 1
        while taken < len(words) and face.getlength(" ".join(words[: taken + 1])) <= width:
            taken += 1
        result.append(fitted(" ".join(words[:taken]), face, width))
        words = words[taken:]
    return [*result, fitted(" ".join(words), face, width)] if words else result
