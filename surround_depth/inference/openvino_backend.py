"""The OpenVINO engine: the same verified ONNX bytes, compiled for a CPU by Intel's runtime. Owns its import."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from surround_depth.closing import Closing
from surround_depth.errors import EngineMismatchError, MissingDependencyError
from surround_depth.inference.backend import EngineSpec, NetworkInputs, NetworkOutputs
from surround_depth.inference.cpu import physical_cores
from surround_depth.inference.onnx_wire import require_self_contained

_TYPES = {"images": "u8"}  # every other tensor of the graph is float32
_FLOAT = "f32"


class OpenVinoBackend(Closing):
    """Runs one static ONNX graph on the CPU, compiled for the latency of one frame at a time.

    Args:
        onnx_bytes: the graph, already verified against its manifest.
        spec: what the manifest promises of the graph; the graph's own declarations must agree.
        threads: default one per physical core this process may use, as in `OnnxRuntimeBackend`.

    Raises:
        MissingDependencyError: openvino is not installed.
        EngineMismatchError: the graph does not load, or declares other tensors than `spec`.
    """

    def __init__(self, onnx_bytes: bytes, spec: EngineSpec, *, threads: int | None = None) -> None:
        self.spec = spec
        self.threads = physical_cores() if threads is None else threads
        if self.threads < 1:
            raise EngineMismatchError(f"threads: expected at least 1, got {threads}")
        require_self_contained(onnx_bytes)
        compiled = compile_graph(onnx_bytes, self.threads)
        _require_declared(compiled, spec)
        self._request: Any = compiled.create_infer_request()

    def infer(self, inputs: NetworkInputs) -> NetworkOutputs:
        """Return depth and confidence of one frame; the arrays are fresh and belong to the caller.

        Raises:
            EngineMismatchError: the frame is not of the engine's shape, or the backend is closed.
        """
        if self._request is None:
            raise EngineMismatchError("this OpenVINO backend is closed; open_backend again")
        inputs.require(self.spec)
        self._request.infer(inputs.as_feeds(), share_inputs=True)
        return NetworkOutputs.from_feeds(
            {name: self._request.get_tensor(name).data.copy() for name in self.spec.output_shapes()}
        )

    def close(self) -> None:
        """Free the compiled graph."""
        self._request = None


def compile_graph(graph: bytes | Path, threads: int, *, profiled: bool = False) -> Any:
    """Return a compiled graph with the settings of every engine: what is compared with an engine runs as it does.

    Args:
        graph: the ONNX file's bytes, or its path where its weights lie beside it.
        profiled: time every operator, which costs a little.

    Raises:
        MissingDependencyError, EngineMismatchError: as `OpenVinoBackend`.
    """
    try:
        import openvino
    except ImportError as error:
        raise MissingDependencyError("this engine needs OpenVINO: pip install openvino") from error
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
        # on a CPU with bfloat16 units the default would compute in it; an engine says its precision
        "INFERENCE_PRECISION_HINT": "f32",
        "PERF_COUNT": profiled,
    }
    try:
        core = openvino.Core()
        return core.compile_model(core.read_model(graph), "CPU", settings)
    except Exception as error:  # its own errors, or those of turning a damaged graph's names into text
        reason = " ".join(str(error).split())[:200]
        raise EngineMismatchError(f"OpenVINO {openvino.__version__} cannot load the graph: {reason}") from error


def _require_declared(compiled: Any, spec: EngineSpec) -> None:
    """The graph's own declarations must be what the manifest promises, before a frame is run."""
    for kind, declared, expected in (
        ("input", compiled.inputs, spec.input_shapes()),
        ("output", compiled.outputs, spec.output_shapes()),
    ):
        found = {port.get_any_name(): port for port in declared}
        if set(found) != set(expected):
            raise EngineMismatchError(f"the graph's {kind}s are {sorted(found)}, expected {sorted(expected)}")
        for name, shape in expected.items():
            type_name, port = _TYPES.get(name, _FLOAT), found[name]
            declared_type, declared_shape = (
                port.get_element_type().get_type_name(),
                tuple(port.partial_shape.to_shape()),
            )
            if declared_shape != shape or declared_type != type_name:
                raise EngineMismatchError(
                    f"the graph's {kind} '{name}' is {declared_type} {list(declared_shape)}, "
                    f"the manifest promises {type_name} {list(shape)}; rebuild with python deploy/build_engine.py"
                )
