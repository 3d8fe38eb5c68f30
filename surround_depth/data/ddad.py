"""DDAD (a DGP tree) as samples: each camera with its own stamp and ego pose, the LiDAR sweep in the ego frame.

Our own DGP trees carry dense truth (`dense_depth/`) and own-body masks (`own_body/`) beside it, which are read along.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

from surround_depth.data import truth_sidecar
from surround_depth.data.damage import LeftOut, OnDamage
from surround_depth.data.ddad_sequence import DdadSequence
from surround_depth.data.dgp_scene import Datum, DgpSample, DgpScene, find_scene_dataset, read_scene, read_scene_list
from surround_depth.data.mask_folder import DDAD_SUFFIX, MaskFolder, masks_sha256
from surround_depth.data.paths import OWN_BODY_FOLDER, files_matching, path_inside, read_json, require_root
from surround_depth.data.tables_hash import tables_sha256
from surround_depth.errors import DataError

_MASK_SETS = "mask_idx_dict.json"


class DdadDataset:
    """The scenes of a DGP root.

    Args:
        root: folder that holds `ddad.json` or `scene_dataset*.json`.
        split: "train", "val", "test", "train_overfit" or the list's own number; by default every split.
        mask_dir: own-body masks `CAMERA_xx_mask.png` (255 = keep) of every scene, or VFDepth's folder of numbered sets
            with its `mask_idx_dict.json`, which maps a scene number of the release to its set. A scene that is not in
            the map is refused, a drive that is not of the release too: give it the folder of one set. By default
            `root/own_body`, which our own trees have and DDAD has not; there, and only there, a camera may lack its
            mask.
        scene_list: file name of the scene list, where the root has several.
        on_damage: "raise" refuses a scene when it is read; "skip" reads every scene once when opened, leaves damaged
            scenes, and damaged samples and rows of the others, out, and lists them in `damage`.

    Raises:
        ConfigError: no such policy.
        DataError: no such folder, list or split, or a damaged file.
    """

    name = "ddad"
    licence = "DDAD: CC BY-NC-SA 4.0, Toyota Research Institute (non-commercial)"

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        mask_dir: str | Path | None = None,
        scene_list: str | None = None,
        on_damage: OnDamage = "raise",
    ) -> None:
        self.root = require_root(root, "DDAD")
        self._list_path = find_scene_dataset(self.root, scene_list)
        self._files = read_scene_list(self._list_path, split)
        self._masks: MaskFolder | None = None
        if mask_dir is not None:
            self._masks = MaskFolder.asked_for(mask_dir, DDAD_SUFFIX)
        elif (self.root / OWN_BODY_FOLDER).is_dir():
            self._masks = MaskFolder((self.root / OWN_BODY_FOLDER).resolve(), DDAD_SUFFIX, may_lack=True)
        self._truth_root = self.root if (self.root / truth_sidecar.FOLDER).is_dir() else None
        self._on_damage: OnDamage = on_damage
        left_out = LeftOut(on_damage)
        if on_damage == "skip":
            readable = {}
            for scene, file in self._files.items():
                with left_out.where_damaged():
                    left_out.lines += self._content(scene).damage
                    readable[scene] = file
            self._files = readable
        # one line per scene, sample or row that was left out; empty with on_damage="raise", which refuses the first
        self.damage: tuple[str, ...] = tuple(left_out.lines)

    @cached_property
    def masks_sha256(self) -> str:
        """One hash over the own-body masks and which scene has which; "" without masks."""
        if self._masks is None:
            return ""
        folder = self._masks.folder
        patterns = (f"*{DDAD_SUFFIX}.png", f"*/*{DDAD_SUFFIX}.png", _MASK_SETS)
        return masks_sha256(folder, [path for pattern in patterns for path in files_matching(folder, pattern)])

    @cached_property
    def tables_sha256(self) -> str:
        """One hash over the scene list and the files of its scenes (of the split, where one was given)."""
        scenes = {file: path_inside(self.root, file, str(self._list_path)) for file in self._files.values()}
        return tables_sha256({self._list_path.name: self._list_path, **scenes})

    def scenes(self) -> tuple[str, ...]:
        """Names of the scenes (their folders), in the order of the scene list."""
        return tuple(self._files)

    def sequence(self, scene: str) -> DdadSequence:
        """Return the samples of a scene in order of time.

        Raises:
            DataError: no such scene, it is damaged, or it lacks the masks that were asked for.
        """
        if scene not in self._files:
            known = ", ".join(map(repr, self.scenes()[:12])) or "none"
            raise DataError(f"{self._list_path} has no scene {scene!r}; it has {len(self._files)}: {known}")
        content = self._content(scene)
        return DdadSequence(
            name=scene,
            scene_dir=(self.root / self._files[scene]).parent,
            samples=content.samples,
            cameras=_first_of_each_camera(content),
            masks=self._masks_of(scene),
            truth_root=self._truth_root,
            ontology=content.box_ontology,
        )

    def _content(self, scene: str) -> DgpScene:
        content = read_scene(self.root, self._files[scene], str(self._list_path), self._on_damage)
        if not _first_of_each_camera(content):
            raise DataError(f"scene {scene}: {self._files[scene]} has no image")
        return content

    def _masks_of(self, scene: str) -> MaskFolder | None:
        """Return the own-body masks of a scene."""
        masks = self._masks
        if masks is None or masks.may_lack or files_matching(masks.folder, f"*{DDAD_SUFFIX}.png"):
            return masks
        path = path_inside(masks.folder, _MASK_SETS, f"own-body masks (there is no *{DDAD_SUFFIX}.png either)")
        sets = read_json(path)
        number = sets.get(str(int(scene))) if scene.isdecimal() and isinstance(sets, dict) else None
        if number is None:
            raise DataError(f"{path} has no mask set for scene {scene!r}; give the folder of one set, or no masks")
        folder = masks.folder / str(number)
        if not isinstance(number, int) or not folder.is_dir():
            raise DataError(f"{path}: scene {scene} has mask set {str(number)[:60]!r}, which is not there")
        return MaskFolder(folder, DDAD_SUFFIX)


def _first_of_each_camera(content: DgpScene) -> dict[str, tuple[Datum, DgpSample]]:
    cameras: dict[str, tuple[Datum, DgpSample]] = {}
    for sample in content.samples:
        for name, datum in sample.data.items():
            if datum.kind == "image":
                cameras.setdefault(name, (datum, sample))
    return cameras
