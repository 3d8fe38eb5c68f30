"""DDAD narrowed to a list of `SCENE TIMESTAMP` lines, as the lists that published results are computed on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from surround_depth.data.ddad import DdadDataset, DdadSequence
from surround_depth.data.sample import Box, Sample
from surround_depth.data.splits import Split
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud


class ListedDrives:
    """The drives of a DDAD root that a list names, each with the samples it names, in its order, repetitions kept.

    Raises:
        DataError: the list is of another kind, or names a scene that is not there.
    """

    def __init__(self, dataset: DdadDataset, split: Split) -> None:
        if split.kind != "frames":
            raise DataError(f"split {split.name} lists {split.kind}; DDAD needs lines of 'SCENE TIMESTAMP'")
        self.name, self.licence, self.root = dataset.name, dataset.licence, dataset.root
        self.split = split
        self._dataset = dataset
        self._stems: dict[str, list[str]] = {}
        for item in split.items:
            scene, stem = item.split(" ", maxsplit=1)
            self._stems.setdefault(scene, []).append(stem)
        missing = sorted(self._stems.keys() - set(dataset.scenes()))
        if missing:
            raise DataError(f"split {split.name}: {self.root} lacks {len(missing)} of its scenes ({missing[0]}, ...)")

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes of the list, in the order of the data set."""
        return tuple(scene for scene in self._dataset.scenes() if scene in self._stems)

    def sequence(self, scene: str) -> ListedSequence:
        """Return the listed samples of a scene.

        Raises:
            DataError: the scene is not in the list, is damaged, or has no image of a listed time.
        """
        if scene not in self._stems:
            raise DataError(f"split {self.split.name} has no scene {scene!r}")
        return ListedSequence(self._dataset.sequence(scene), tuple(self._stems[scene]), self.split.name)


@dataclass(frozen=True)
class ListedSequence:
    """Some samples of a DDAD scene. Made by `ListedDrives.sequence`."""

    whole: DdadSequence
    stems: tuple[str, ...]
    split_name: str

    @property
    def name(self) -> str:
        """Name of the scene."""
        return self.whole.name

    @property
    def conditions(self) -> tuple[str, ...]:
        """As the whole scene's."""
        return self.whole.conditions

    @property
    def split_items(self) -> tuple[str, ...]:
        """What the list calls each sample: SCENE TIMESTAMP."""
        return tuple(f"{self.name} {stem}" for stem in self.stems)

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> Sample:
        return self.whole[self.places[index]]

    def sweeps(self, index: int, before: int, after: int) -> tuple[PointCloud, ...]:
        """Return the sweeps around a listed sample, of the whole scene."""
        return self.whole.sweeps(self.places[index], before, after)

    def boxes(self, index: int) -> tuple[Box, ...]:
        """Return the boxes of a listed sample."""
        return self.whole.boxes(self.places[index])

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Where each listed sample stands in the whole scene."""
        places = tuple(self.whole.index_of_stamp(stem) for stem in self.stems)
        for stem, place in zip(self.stems, places, strict=True):
            if place is None:
                raise DataError(f"split {self.split_name}: scene {self.name} has no image of time {stem[:40]!r}")
        return tuple(place for place in places if place is not None)
