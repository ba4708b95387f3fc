"""Runs the networks of the paddle engine: on OpenVINO where its wheel is installed, else on onnxruntime."""

from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from batchjob.ocr.models import RUNTIMES, find_runtime

Tensor = NDArray[np.float32]
_KEPT_VALUES = 3 * 3 * 1056 * 768
"""Inputs, in numbers, for whose shapes a network stays compiled: three A4 pages for the detection of lines."""
# Processes are the unit of parallel work here, so that pinned threads would meet on one CPU.
_OPTIONS = {
    "PERFORMANCE_HINT": "LATENCY",
    "INFERENCE_NUM_THREADS": 1,
    "NUM_STREAMS": 1,
    "ENABLE_CPU_PINNING": False,
}


class Network(Protocol):
    def __call__(self, values: Tensor) -> Tensor:
        """The network's only output for its only input; the answer is good until the next call."""
        ...


class Classifier(Network, Protocol):
    """Answers with a logarithm of probability, up to a constant, for each class: blank, then `characters`."""

    characters: list[str]


def open_network(model: Path, runtime: str | None = None) -> Network:
    """A model of few input shapes, compiled for one thread. Raises ImportError where no runtime is installed."""
    match runtime or find_runtime():
        case "openvino":
            return _OpenVinoPerShape(model)
        case "onnxruntime":
            return _OnnxNetwork(model)
    raise ImportError(f"none of {', '.join(RUNTIMES)} is installed")


def open_classifier(model: Path, wanted: Callable[[str], bool], runtime: str | None = None) -> Classifier:
    """Compiles a recogniser that knows only the wanted ones of its characters, for one thread.

    What is wanted takes the place of what is not. Raises ImportError where no runtime is installed.
    """
    match runtime or find_runtime():
        case "openvino":
            return _OpenVinoClassifier(model, wanted)
        case "onnxruntime":
            return _OnnxClassifier(model, wanted)
    raise ImportError(f"none of {', '.join(RUNTIMES)} is installed")


class _OpenVinoPerShape:
    """A network compiled for each shape of its inputs, of which the last ones are kept. bfloat16 where the CPU has it.

    On an A4 page that takes 90 MB for detection and 0.135 s, where one for all shapes takes 140 MB and 0.155 s;
    at 2048 × 2048 pixels 330 and 750 MB. Compiling takes 0.2 s, as long as a first use takes there. A shape's
    answers differ in the last bits, so that all have to go the same way.
    """

    def __init__(self, model: Path) -> None:
        import openvino

        self._core = openvino.Core()
        self._network = self._core.read_model(model)
        self._requests: dict[tuple[int, ...], Any] = {}

    def __call__(self, values: Tensor) -> Tensor:
        request = self._requests.pop(values.shape, None)
        if request is None:
            self._make_room(values.size)
            network = self._network.clone()
            network.reshape(list(values.shape))
            request = self._core.compile_model(network, "CPU", _OPTIONS).create_infer_request()
        self._requests[values.shape] = request
        request.infer([values])
        answer: Tensor = request.get_output_tensor().data
        return answer

    def _make_room(self, size: int) -> None:
        """Gives up those that were not used for longest."""
        while self._requests and size + sum(map(prod, self._requests)) > _KEPT_VALUES:
            del self._requests[next(iter(self._requests))]


class _OpenVinoClassifier:
    """Leaves out the weights of unwanted classes and the softmax over all: a sixth of the work."""

    def __init__(self, model: Path, wanted: Callable[[str], bool]) -> None:
        import openvino

        core = openvino.Core()
        network = core.read_model(model)
        characters = _classes(network.get_rt_info(["framework", "character"]).value)
        kept = _kept(characters, wanted)
        self.characters = [characters[index - 1] for index in kept[1:]]
        _keep_classes(network, len(characters) + 1, kept)
        softmax = network.get_results()[0].input_value(0).get_node()
        logarithms = openvino.Model([softmax.input_value(0)], network.get_parameters())
        self._request = core.compile_model(logarithms, "CPU", _OPTIONS).create_infer_request()

    def __call__(self, values: Tensor) -> Tensor:
        self._request.infer([values])
        answer: Tensor = self._request.get_output_tensor().data
        return answer


def _keep_classes(network: Any, classes: int, kept: list[int]) -> None:
    from openvino import opset13

    for constant in network.get_ordered_ops():
        if constant.get_type_name() == "Constant" and list(constant.get_output_shape(0))[-1:] == [classes]:
            cut = opset13.constant(np.ascontiguousarray(constant.data[..., kept]))
            for user in constant.output(0).get_target_inputs():
                user.replace_source_output(cut.output(0))
    network.validate_nodes_and_infer_types()


class _OnnxNetwork:
    def __init__(self, model: Path) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # else memory grows with every new shape
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def __call__(self, values: Tensor) -> Tensor:
        answer: Tensor = self._session.run(None, {self._input: values})[0]
        return answer


class _OnnxClassifier(_OnnxNetwork):
    def __init__(self, model: Path, wanted: Callable[[str], bool]) -> None:
        super().__init__(model)
        characters = _classes(self._session.get_modelmeta().custom_metadata_map["character"])
        self._kept = _kept(characters, wanted)
        self.characters = [characters[index - 1] for index in self._kept[1:]]

    def __call__(self, values: Tensor) -> Tensor:
        probabilities = super().__call__(values)[..., self._kept]
        return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))


def _classes(listed: Any) -> list[str]:
    """A recogniser's classes after the blank: the characters that its model file lists, and the space."""
    return [*str(listed).splitlines(), " "]


def _kept(characters: list[str], wanted: Callable[[str], bool]) -> list[int]:
    return [0, *(index for index, character in enumerate(characters, 1) if wanted(character))]
