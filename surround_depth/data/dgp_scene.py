"""DGP files (TRI-ML/dgp): the scene list, and one scene's samples with poses, stamps and calibration joined."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from surround_depth.data.damage import LeftOut, OnDamage
from surround_depth.data.dgp_calibration import Calibration, pose_of, read_calibration, require_object
from surround_depth.data.paths import files_matching, path_inside, read_json
from surround_depth.data.rows import Row, require_rows, require_stamp
from surround_depth.errors import DataError
from surround_depth.geometry import Array

SPLITS = {"0": "train", "1": "val", "2": "test", "3": "train_overfit"}
_STEM_DIGITS = range(16, 20)
BOXES_3D = "1"  # annotation type


@dataclass(frozen=True)
class Datum:
    """One sensor's record of a sample."""

    label: str
    kind: str  # "image" or "point_cloud"
    values: Row
    filename: str
    stamp_ns: int
    T_world_sensor: Array  # [4, 4] at the datum's own time


@dataclass(frozen=True)
class DgpSample:
    """One sample: its data and calibration by sensor name (upper case)."""

    token: str
    calibration_key: str
    data: dict[str, Datum]
    calibration: dict[str, Calibration]

    def sensor(self, name: str) -> Calibration:
        """Return a sensor's calibration.

        Raises:
            DataError: the sample's calibration file does not know it.
        """
        if name not in self.calibration:
            known = ", ".join(map(repr, self.calibration)) or "none"
            raise DataError(f"{self.token}: calibration {self.calibration_key} has no sensor {name!r}; it has {known}")
        return self.calibration[name]

    @property
    def cloud_name(self) -> str | None:
        """Name of the sensor whose point cloud stands for the sample; None without one."""
        return next((name for name, datum in self.data.items() if datum.kind == "point_cloud"), None)


@dataclass(frozen=True)
class DgpScene:
    """One scene: its samples in order of time."""

    samples: tuple[DgpSample, ...]
    box_ontology: str | None
    """Name of the file in `ontology/` that names the classes of 3-D boxes; None where the scene has none."""
    damage: tuple[str, ...] = ()
    """What was left out, one line each."""


def find_scene_dataset(root: Path, file_name: str | None) -> Path:
    """Return the scene list of a DGP root: the one asked for, else the only one."""
    found = [path.name for path in files_matching(root, "scene_dataset*.json")]
    found += ["ddad.json"] if (root / "ddad.json").is_file() else []
    if file_name is None and len(found) == 1:
        return root / found[0]
    listing = ", ".join(found) or "none"
    if file_name is None:
        raise DataError(f"{root} has scene lists: {listing}; it needs exactly one scene_dataset*.json or ddad.json")
    if file_name not in found:
        raise DataError(f"{root} has no scene list {file_name!r}; it has: {listing}")
    return root / file_name


def read_scene_list(path: Path, split: str | None) -> dict[str, str]:
    """Return scene name -> scene JSON (relative to the root), in the order of the list; None is every split.

    A scene's name is its folder, e.g. "000150"; a folder with several scenes adds the file's stem.
    """
    splits = Row(path.name, require_object(read_json(path), path)).child("scene_splits")
    numbers = {name: number for number, name in SPLITS.items()}
    wanted = list(splits.values) if split is None else [numbers.get(split, split)]
    if any(number not in splits.values for number in wanted):
        listing = ", ".join(f"{number} ({SPLITS.get(number, 'unnamed')})" for number in splits.values)
        raise DataError(f"{path} has no split {split!r}; it has {listing}")
    files = [name for number in wanted for name in splits.child(number).items("filenames")]
    if not all(isinstance(name, str) and name and name.isprintable() for name in files):
        raise DataError(f"{path}: scene_splits must list file names; the file is damaged")
    unique = list(dict.fromkeys(files))
    folders = [PurePosixPath(name).parent.name for name in unique]
    return {
        folder if folder and folders.count(folder) == 1 else f"{folder}/{PurePosixPath(name).stem}".lstrip("/"): name
        for folder, name in zip(folders, unique, strict=True)
    }


def read_scene(root: Path, filename: str, referrer: str, on_damage: OnDamage = "raise") -> DgpScene:
    """Return a scene. `prev_key`/`next_key` dangle in real scenes and are not read.

    Raises:
        DataError: a file is missing or damaged, a key stands twice, or a sample names a datum or calibration that is
            not there; with "skip", samples and rows that are so are left out.
    """
    path = path_inside(root, filename, referrer)
    scene = Row(f"{path.parent.name}/{path.name}", require_object(read_json(path), path))
    left_out = LeftOut(on_damage)
    data = _data_rows(scene, left_out)
    calibrations: dict[str, dict[str, Calibration]] = {}
    samples = []
    sample_of_key: dict[str, str] = {}
    for i, values in enumerate(require_rows(scene.items("samples"), f"{scene.label} samples")):
        row = Row(f"{scene.label} samples[{i}]", values)
        with left_out.where_damaged():
            key = row.text("calibration_key")
            if key not in calibrations:
                calibrations[key] = read_calibration(path.parent, key, row.label)
            found = _sample_data(row, data, sample_of_key)
            samples.append(DgpSample(f"{path.parent.name}/{i:06d}", key, found, calibrations[key]))
    samples.sort(key=lambda sample: min((datum.stamp_ns for datum in sample.data.values()), default=0))
    return DgpScene(tuple(samples), _box_ontology(scene), tuple(left_out.lines))


def stamp_ns_of_stem(stem: str) -> int | None:
    """Return the nanoseconds of a file stem, None where it is no time.

    A stem is seconds without the point: ten digits of seconds, the rest is the fraction. So 16 digits are microseconds
    and the 17-digit scenes of DDAD (whose JSON times are ten times too large, year 2463) are 100 ns. Integers only.
    """
    if not re.fullmatch(r"[0-9]+", stem, flags=re.ASCII) or len(stem) not in _STEM_DIGITS:
        return None
    return int(stem) * 10 ** (19 - len(stem))


def _box_ontology(scene: Row) -> str | None:
    if "ontologies" not in scene.values:
        return None
    ontologies = scene.child("ontologies")
    return ontologies.text(BOXES_3D) if BOXES_3D in ontologies.values else None


def _data_rows(scene: Row, left_out: LeftOut) -> dict[str, Row]:
    """Return the rows of a scene's data by key."""
    rows: dict[str, Row] = {}
    for i, values in enumerate(require_rows(scene.items("data"), f"{scene.label} data")):
        row = Row(f"{scene.label} data[{i}]", values)
        with left_out.where_damaged():
            earlier = rows.setdefault(row.text("key"), row)
            if earlier is not row:
                raise DataError(f"{row.label}: {earlier.label} has the same key; remove one")
    return rows


def _sample_data(sample: Row, rows: dict[str, Row], sample_of_key: dict[str, str]) -> dict[str, Datum]:
    """Return a sample's data by sensor, and note them as its own: what two samples have is one sample listed twice."""
    data: dict[str, Datum] = {}
    keys = sample.items("datum_keys")
    for key in keys:
        if not isinstance(key, str) or key not in rows:
            raise DataError(f"{sample.label}: datum key {str(key)[:60]!r} is not in its data; the file is damaged")
        if key in sample_of_key:
            raise DataError(f"{sample.label}: {sample_of_key[key]} has its datum {key[:60]!r} too; remove one")
        row = rows[key]
        kinds = row.child("datum")
        for kind in ("image", "point_cloud"):
            if kind in kinds.values:
                name = row.child("id").text("name").upper()
                if name in data:
                    raise DataError(f"{sample.label}: two data of sensor {name[:60]!r}; remove one")
                data[name] = _datum(row, kinds.child(kind), kind)
    sample_of_key.update(dict.fromkeys(keys, sample.label))
    return data


def _datum(row: Row, values: Row, kind: str) -> Datum:
    filename = values.text("filename")
    stamp_ns = stamp_ns_of_stem(PurePosixPath(filename).stem)
    if stamp_ns is None:
        stamp_ns = _stamp_ns_of_iso(row.child("id"))
    return Datum(row.label, kind, values, filename, require_stamp(row.label, stamp_ns), pose_of(values.child("pose")))


def _stamp_ns_of_iso(row: Row) -> int:
    text = row.text("timestamp")
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", text, flags=re.ASCII)
    try:
        whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC) if match else None
    except ValueError:
        whole = None
    if match is None or whole is None:
        raise DataError(f"{row.label}: timestamp {text[:60]!r} is not a UTC time like 2019-05-04T08:13:14.820375Z")
    return round(whole.timestamp()) * 10**9 + int((match[2] or "").ljust(9, "0"))
