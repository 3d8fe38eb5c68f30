"""The ONNX Runtime engine: the default on a CPU. Owns the `onnxruntime` import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.cpu import physical_cores
from surround_depth.inference.onnx_wire import require_self_contained

CPU_PROVIDER = "CPUExecutionProvider"
CUDA_PROVIDER = "CUDAExecutionProvider"
_TYPES = {"images": "tensor(uint8)"}  # every other tensor of the graph is float32
_FLOAT = "tensor(float)"


class OnnxRuntimeBackend(Closing):
    """Runs one static ONNX graph on the CPU, with a number of threads that the caller can know.

    Args:
        onnx_bytes: the graph, already verified against its manifest.
        spec: what the manifest promises of the graph; the graph's own declarations must agree.
        threads: intra-op threads; default one per physical core this process may use. One operator runs at a time
            (the graph is a chain of large ones), and idle threads sleep rather than spin between frames, so decode and
            fusion of the neighbouring frames get the cores.
        provider: where it computes. An engine runs on the CPU; the benchmark on a GPU asks for `CUDA_PROVIDER`.

    Raises:
        MissingDependencyError: onnxruntime is not installed.
        EngineMismatchError: the graph does not load, or declares other tensors than `spec`.
    """

    def __init__(
        self, onnx_bytes: bytes, spec: EngineSpec, *, threads: int | None = None, provider: str = CPU_PROVIDER
    ) -> None:
        self.spec = spec
        self.threads = physical_cores() if threads is None else threads
        if self.threads < 1:
            raise EngineMismatchError(f"threads: expected at least 1, got {threads}")
        require_self_contained(onnx_bytes)
        self._session: Any = open_session(onnx_bytes, self.threads, provider)
        _require_declared(self._session, spec)

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame; the arrays are fresh and belong to the caller.

        Raises:
            EngineMismatchError: the frame is not of the engine's shape, or the backend is closed.
        """
        if self._session is None:
            raise EngineMismatchError("this ONNX Runtime backend is closed; open_backend again")
        inputs.require(self.spec)
        names = list(self.spec.output_shapes())
        values = self._session.run(names, inputs.as_feeds())
        return NetworkOutputs.from_feeds(dict(zip(names, values, strict=True)))

    def close(self) -> None:
        """Free the session."""
        self._session = None


def require_provider(provider: str) -> None:
    """Check that the installed ONNX Runtime computes where it is asked to.

    Raises:
        MissingDependencyError: onnxruntime is not installed, or it is a build without this provider.
    """
    onnxruntime = _load()
    available = onnxruntime.get_available_providers()
    if provider not in available:
        raise MissingDependencyError(
            f"onnxruntime {onnxruntime.__version__} has no {provider}, only {', '.join(available)}; "
            "for a GPU install onnxruntime-gpu instead of onnxruntime"
        )


def open_session(
    graph: bytes | Path, threads: int, provider: str = CPU_PROVIDER, *, profile_prefix: Path | None = None
) -> Any:
    """Return a session with the settings of every engine: what is compared with an engine runs as it does.

    Args:
        graph: the ONNX file's bytes, or its path where its weights lie beside it.
        profile_prefix: begins the path of the file that `end_profiling` leaves, with the time of every operator.

    Raises:
        MissingDependencyError, EngineMismatchError: as `OnnxRuntimeBackend`.
    """
    onnxruntime = _load()
    require_provider(provider)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = 3  # errors only: they reach us as exceptions as well
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile_prefix is not None:
        options.enable_profiling = True
        options.profile_file_prefix = str(profile_prefix)
    try:
        session = onnxruntime.InferenceSession(graph, options, providers=[provider])
    except Exception as error:  # the binding raises a dozen private classes that share no base but Exception
        reason = " ".join(str(error).split())[:200]
        raise EngineMismatchError(f"ONNX Runtime {onnxruntime.__version__} cannot load the graph: {reason}") from error
    session.disable_fallback()
    return session


def _load() -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingDependencyError("this engine needs ONNX Runtime: pip install onnxruntime") from error
    return onnxruntime


def _require_declared(session: Any, spec: EngineSpec) -> None:
    """The graph's own declarations must be what the manifest promises, before a frame is run."""
    for kind, declared, expected in (
        ("input", session.get_inputs(), spec.input_shapes()),
        ("output", session.get_outputs(), spec.output_shapes()),
    ):
        found = {tensor.name: tensor for tensor in declared}
        if set(found) != set(expected):
            raise EngineMismatchError(f"the graph's {kind}s are {sorted(found)}, expected {sorted(expected)}")
        for name, shape in expected.items():
            type_name = _TYPES.get(name, _FLOAT)
            if tuple(found[name].shape) != shape or found[name].type != type_name:
                raise EngineMismatchError(
                    f"the graph's {kind} '{name}' is {found[name].type} {found[name].shape}, "
                    f"the manifest promises {type_name} {list(shape)}; rebuild with python deploy/build_engine.py"
                )
