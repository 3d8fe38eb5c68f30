"""What to do about a damaged file or row: refuse it, or leave it out and count it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal, get_args

from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import EncodedImage

OnDamage = Literal["raise", "skip"]

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_TAIL_BYTES = 4096  # some writers pad a JPEG behind its end


@dataclass
class LeftOut:
    """What was left out, one line each. Results carry it, so that nobody compares means over different samples.

    Raises:
        ConfigError: `on_damage` is neither "raise" nor "skip".
    """

    on_damage: OnDamage
    lines: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        require_policy(self.on_damage)

    @contextmanager
    def where_damaged(self) -> Iterator[None]:
        """End the body at a `DataError`, which is noted with "skip" and passes with "raise"."""
        try:
            yield
        except DataError as error:
            if self.on_damage == "raise":
                raise
            self.lines.append(str(error))


def require_policy(on_damage: str) -> None:
    """Raise `ConfigError` where `on_damage` is neither "raise" nor "skip"."""
    if on_damage not in get_args(OnDamage):
        raise ConfigError(f"on_damage {on_damage!r} is not one of {', '.join(get_args(OnDamage))}")


def require_whole(image: EncodedImage) -> None:
    """Raise `DataError` where a JPEG or PNG lacks its end, without decoding it.

    `imaging.decode_image` refuses a cut picture too; other decoders fill what is missing with grey and go on. This is
    for pictures that are read and never decoded here. A flipped bit inside shows only when a picture is decoded, and of
    a JPEG not always then.
    """
    tail = image.data[-_TAIL_BYTES:]
    if image.data.startswith(_JPEG_START):
        is_whole = _JPEG_END in tail
    elif image.data.startswith(_PNG_START):
        is_whole = _PNG_END in tail
    else:
        raise DataError(f"image {image.source} is neither JPEG nor PNG; download or copy it again")
    if not is_whole:
        raise DataError(f"image {image.source} is cut short after {len(image.data)} bytes; download or copy it again")
