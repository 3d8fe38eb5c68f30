"""DDAD narrowed to a list of `SCENE TIMESTAMP` lines, as the lists that published results are computed on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from surround_depth.data.damage import LeftOut, OnDamage
from surround_depth.data.ddad import DdadDataset
from surround_depth.data.ddad_sequence import DdadSequence
from surround_depth.data.sample import Box, Sample
from surround_depth.data.splits import Split
from surround_depth.errors import DataError
from surround_depth.frame import PointCloud


class ListedDrives:
    """The drives of a DDAD root that a list names, each with the samples it names, in its order, repetitions kept.

    Args:
        on_damage: "raise" refuses a list that names what is not there; "skip" looks all of it up when opened, leaves
            out what is not there, and lists it in `damage` after what the data set left out.

    Raises:
        ConfigError: no such policy.
        DataError: the list is of another kind, or names a scene that is not there; nothing of it is there.
    """

    def __init__(self, dataset: DdadDataset, split: Split, on_damage: OnDamage = "raise") -> None:
        if split.kind != "frames":
            raise DataError(f"split {split.name} lists {split.kind}; DDAD needs lines of 'SCENE TIMESTAMP'")
        self.name, self.licence, self.root = dataset.name, dataset.licence, dataset.root
        self.split = split
        self._dataset = dataset
        self._stems: dict[str, list[str]] = {}
        for item in split.items:
            scene, stem = item.split(" ", maxsplit=1)
            self._stems.setdefault(scene, []).append(stem)
        left_out = LeftOut(on_damage, list(dataset.damage))
        missing = sorted(self._stems.keys() - set(dataset.scenes()))
        with left_out.where_damaged():
            if missing:
                n = f"{len(missing)} of its scenes ({missing[0]!r}, ...)"
                raise DataError(f"split {split.name}: {self.root} lacks {n}")
        if on_damage == "skip":
            self._stems = {scene: self._found(scene, left_out) for scene in self.scenes()}
            if not any(self._stems.values()):
                raise DataError(f"split {split.name}: {self.root} has nothing of it: {left_out.lines[-1]}")
        self.damage: tuple[str, ...] = tuple(left_out.lines)

    @property
    def masks_sha256(self) -> str:
        """As the data set's."""
        return self._dataset.masks_sha256

    @property
    def tables_sha256(self) -> str:
        """As the data set's."""
        return self._dataset.tables_sha256

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes of the list, in the order of the data set."""
        return tuple(scene for scene in self._dataset.scenes() if self._stems.get(scene))

    def _found(self, scene: str, left_out: LeftOut) -> list[str]:
        """Return the listed stems of a scene that it has images of."""
        whole = self._dataset.sequence(scene)
        found = []
        for stem in self._stems[scene]:
            with left_out.where_damaged():
                _place_of(stem, whole, self.split.name)
                found.append(stem)
        return found

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

    def boxes_between(self, first_ns: int, last_ns: int) -> tuple[Box, ...]:
        """Return the boxes of the whole scene between two moments and just beyond."""
        return self.whole.boxes_between(first_ns, last_ns)

    @cached_property
    def places(self) -> tuple[int, ...]:
        """Where each listed sample stands in the whole scene."""
        return tuple(_place_of(stem, self.whole, self.split_name) for stem in self.stems)


def _place_of(stem: str, whole: DdadSequence, split_name: str) -> int:
    place = whole.index_of_stamp(stem)
    if place is None:
        raise DataError(f"split {split_name}: scene {whole.name} has no image of time {stem[:40]!r}")
    return place
