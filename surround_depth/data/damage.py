"""What to do about a damaged file or row: refuse it, or leave it out and count it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal, get_args

from surround_depth.data.sample import Sample, SampleSequence
from surround_depth.errors import ConfigError, DataError
from surround_depth.frame import EncodedImage

OnDamage = Literal["raise", "skip"]

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
_TAIL_BYTES = 4096  # some writers pad a JPEG behind its end


@dataclass
class Damage:
    """What was left out, one line each. Results carry it, so that nobody compares means over different samples."""

    texts: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.texts)


def readable_samples(
    sequence: SampleSequence, indices: Iterable[int], on_damage: OnDamage, damage: Damage
) -> Iterator[tuple[int, Sample]]:
    """Yield (index, sample) of those samples whose files are there and whole; images stay encoded.

    With "raise" the first damaged one stops; with "skip" it is left out and told to `damage`. A flipped bit inside a
    picture only shows when it is decoded.

    Raises:
        ConfigError: `on_damage` is neither.
        DataError: with "raise", a sample cannot be read.
    """
    if on_damage not in get_args(OnDamage):
        raise ConfigError(f"on_damage {on_damage!r} is not one of {', '.join(get_args(OnDamage))}")
    for index in indices:
        try:
            sample = sequence[index]
            for image in sample.frame.images:
                if isinstance(image, EncodedImage):
                    require_whole(image)
        except DataError as error:
            if on_damage == "raise":
                raise
            damage.texts.append(f"{sequence.name} sample {index}: {error}")
            continue
        yield index, sample


def require_whole(image: EncodedImage) -> None:
    """Raise `DataError` where a JPEG or PNG lacks its end: decoders fill what was cut off with grey and go on."""
    tail = image.data[-_TAIL_BYTES:]
    if image.data.startswith(_JPEG_START):
        is_whole = _JPEG_END in tail
    elif image.data.startswith(_PNG_START):
        is_whole = _PNG_END in tail
    else:
        raise DataError(f"image {image.source} is neither JPEG nor PNG; download or copy it again")
    if not is_whole:
        raise DataError(f"image {image.source} is cut short after {len(image.data)} bytes; download or copy it again")
