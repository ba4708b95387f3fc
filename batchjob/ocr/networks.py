"""Runs the networks of the paddle engine: on OpenVINO where its wheel is installed, else on onnxruntime."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tensor = NDArray[np.float32]
RUNTIMES = ("openvino", "onnxruntime")
"""The first one that is installed is used."""


class Network(Protocol):
    characters: list[str]

    def __call__(self, values: Tensor) -> Tensor:
        """The network's only output for its only input; the answer is good until the next call."""
        ...


def find_runtime() -> str | None:
    return next((name for name in RUNTIMES if find_spec(name) is not None), None)


def open_network(model: Path, runtime: str | None = None) -> Network:
    """Compiles a model for one thread. Raises ImportError where no runtime is installed."""
    runtime = runtime or find_runtime()
    if runtime == "openvino":
        return _OpenVinoNetwork(model)
    if runtime == "onnxruntime":
        return _OnnxNetwork(model)
    raise ImportError(f"none of {', '.join(RUNTIMES)} is installed")


class _OpenVinoNetwork:
    """Computes in bfloat16 where the CPU has it, which OpenVINO finds out by itself."""

    def __init__(self, model: Path) -> None:
        import openvino

        core = openvino.Core()
        network = core.read_model(model)
        self.characters = _characters(network)
        # Processes are the unit of parallel work here, so that pinned threads would meet on one CPU.
        options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": 1,
            "NUM_STREAMS": 1,
            "ENABLE_CPU_PINNING": False,
        }
        self._request = core.compile_model(network, "CPU", options).create_infer_request()

    def __call__(self, values: Tensor) -> Tensor:
        self._request.infer([values])
        answer: Tensor = self._request.get_output_tensor().data
        return answer


def _characters(network: Any) -> list[str]:
    path = ["framework", "character"]
    return str(network.get_rt_info(path).value).splitlines() if network.has_rt_info(path) else []


class _OnnxNetwork:
    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # else memory grows with every new shape
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.characters = metadata.get("character", "").splitlines()

    def __call__(self, values: Tensor) -> Tensor:
        answer: Tensor = self._session.run(None, {self._input: values})[0]
        return answer
