"""Reduces colours of pictures: one palette for several pictures, a PNG with few colours."""

import io
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image


def shared_palette(picture: Callable[[int], np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns one palette for all pictures, [256, 3] uint8, and for each colour its nearest index in it, [2 ** 24].

    The palette is exact if 255 colours are enough. Otherwise it holds the most frequent colours, or, if those cover too
    few pixels, those of a median cut. One index is left free: GIF writers use it for pixels that do not change.
    """
    counts: Counter[int] = Counter()
    for t in range(count):
        image = Image.fromarray(picture(t))
        found: Any = image.getcolors(image.width * image.height)  # [(pixels, (r, g, b)), ...]
        counts.update({(r << 16) | (g << 8) | b: pixels for pixels, (r, g, b) in found})
    frequent = counts.most_common(255)
    if sum(pixels for _, pixels in frequent) >= 0.98 * sum(counts.values()):
        chosen = channels(np.array([colour for colour, _ in frequent]))
    else:
        sample = np.concatenate([picture(t) for t in np.linspace(0, count - 1, 12).astype(int).tolist()])
        cut = Image.fromarray(sample).quantize(255, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        chosen = np.array(cut.getpalette()).reshape(-1, 3)[:255]
    indices = np.full(1 << 24, -1, np.int16)
    known = np.array(list(counts))
    for some in np.array_split(known, 1 + len(known) // 4096):
        indices[some] = ((channels(some)[:, None] - chosen) ** 2).sum(-1).argmin(-1)
    palette = np.zeros((256, 3), np.uint8)
    palette[: len(chosen)] = chosen
    return palette, indices


def png(picture: np.ndarray, colours: int, shrink: int) -> bytes:
    """Returns a PNG with a palette; exact if `colours` are enough for the picture. shrink: 2 halves its sides."""
    image = Image.fromarray(picture)
    if shrink > 1:
        image = image.resize((max(1, image.width // shrink), max(1, image.height // shrink)), Image.Resampling.BOX)
    found = image.getcolors(colours)
    if found is None:
        image = image.quantize(colours, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    else:
        palette = np.array([colour for _, colour in found], np.uint8)  # [colours, 3]
        keys = packed(palette)
        sorting = np.argsort(keys)
        indices = sorting[np.searchsorted(keys, packed(np.asarray(image)), sorter=sorting)].astype(np.uint8)
        image = Image.fromarray(indices, "P")
        image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def packed(colours: np.ndarray) -> np.ndarray:
    """Returns [..., 3] uint8 as one number per colour, [...] int32."""
    wide = colours.astype(np.int32)
    return wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]


def channels(packed: np.ndarray) -> np.ndarray:
    """Reverses `packed`: [..., 3] of a type that can be subtracted."""
    return np.stack([packed >> 16, packed >> 8 & 255, packed & 255], -1)
