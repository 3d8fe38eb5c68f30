"""The networks of the GPU table: presets and checkpoints at an input size, and what they say in fp32 on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import torch

from surround_depth.closing import Closing
from surround_depth.export.checkpoint import TrainedStudent
from surround_depth.export.frames import ProofFrames, random_frames
from surround_depth.imaging import InputSpec
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.torch_backend import TorchBackend
from surround_depth.models.presets import Preset, student_preset
from surround_depth.models.student import Student

DEFAULT_NETS: tuple[tuple[Preset, InputSpec], ...] = (
    ("nano", InputSpec(height_px=256, width_px=448)),
    ("nano", InputSpec(height_px=352, width_px=640)),
    ("small", InputSpec(height_px=256, width_px=448)),
    ("base", InputSpec(height_px=256, width_px=448)),
)
SEED = 0
N_PARITY_FRAMES = 2  # in the second a camera is dead


@dataclass(frozen=True, eq=False)
class Net:
    """One student at one input size."""

    name: str
    weights: str
    """The checkpoint's name, or "random"."""
    student: Student
    spec: EngineSpec
    """`model_hash` is the SHA-256 of the weights' file, "" for random ones."""

    @property
    def size(self) -> str:
        """Cameras, height and width, as in every table."""
        return f"{self.spec.n_cameras} x {self.spec.input.height_px} x {self.spec.input.width_px}"

    @cached_property
    def frames(self) -> ProofFrames:
        """The frames on which engines are compared; every camera of the first delivers, so that one is timed too."""
        height_px, width_px = 2 * self.spec.input.height_px, 2 * self.spec.input.width_px
        return random_frames(self.spec, N_PARITY_FRAMES, height_px=height_px, width_px=width_px)

    @cached_property
    def inputs(self) -> tuple[NetworkInputs, ...]:
        """`frames` as an engine reads them."""
        return self.frames.network_inputs(self.spec.input)

    @cached_property
    def reference(self) -> Remembered:
        """Torch fp32 on the CPU, which computes each of `inputs` once."""
        return Remembered(TorchBackend(self.student, self.spec, device="cpu"))


class Remembered(Closing):
    """A backend whose answers are kept: every contender is compared with the same ones.

    It knows the inputs by identity, so they must outlive it.
    """

    def __init__(self, backend: TorchBackend) -> None:
        self.spec = backend.spec
        self._backend = backend
        self._known: dict[int, NetworkOutputs] = {}

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return what the backend said, or says now."""
        if id(inputs) not in self._known:
            self._known[id(inputs)] = self._backend.infer(inputs)
        return self._known[id(inputs)]

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()


def chosen_nets(presets: Sequence[Preset] | None, sizes: Sequence[InputSpec]) -> tuple[tuple[Preset, InputSpec], ...]:
    """Return every preset at every size; `DEFAULT_NETS` where neither is said."""
    if not presets and not sizes:
        return DEFAULT_NETS
    return tuple(product(presets or ("nano", "small", "base"), sizes or (InputSpec(height_px=256, width_px=448),)))


def preset_net(preset: Preset, input: InputSpec, n_cameras: int, checkpoints: Iterable[TrainedStudent]) -> Net:
    """Return a preset; its weights are those of the first checkpoint of its shape, else random and always the same.

    Raises:
        ConfigError: a preset that does not exist.
    """
    config = student_preset(preset)
    torch.manual_seed(SEED)
    student = Student(config).eval()
    for trained in checkpoints:
        if _shapes(trained.student) == _shapes(student):
            return Net(preset, trained.record.name, trained.student, trained.engine_spec(n_cameras, input))
    bins = config.bins
    return Net(preset, "random", student, EngineSpec(input, n_cameras, bins.min_depth_m, bins.max_depth_m, ""))


def checkpoint_net(trained: TrainedStudent, input: InputSpec, n_cameras: int) -> Net:
    """Return the student of a checkpoint under its own name."""
    name = trained.record.name
    return Net(name, name, trained.student, trained.engine_spec(n_cameras, input))


def _shapes(student: Student) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in student.state_dict().items()}
