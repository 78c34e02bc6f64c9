"""The layers of a BERT in ONNX Runtime, for few short texts on a CPU.

One call for all layers. Only attention sees the texts padded, side by side; all else takes the tokens of
all texts in one row. The graph is made here, a few kilobytes, and the weights are mapped from the model's own
file: there is no second file of a model that could be missing, old or half written (ADR 0012). Whoever uses
it proves its vectors on texts.
"""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from retrieval.model_folder import WEIGHTS

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

_ERRORS_ONLY = 3


class OnnxBert:
    """A session over the weights of one folder. Calls are made one at a time."""

    def __init__(self, folder: Path, config: Any, threads: int) -> None:
        """``config`` is the model's ``BertConfig``.

        Raises ``ValueError`` or ``LookupError`` for a model that this graph is not, ``OSError`` when its file
        cannot be read, and what ONNX Runtime raises (``RuntimeError``).
        """
        if (
            config.hidden_act != "gelu"
            or config.is_decoder
            or getattr(config, "position_embedding_type", "absolute") != "absolute"
        ):
            raise ValueError("not an encoder with gelu and absolute positions")
        onnxruntime.disable_telemetry_events()  # wheels for Linux send none anyway
        weights = _Weights(folder)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = _ERRORS_ONLY
        # Waiting threads sleep: the cores are shared with other processes
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(weights.file.parent)
        )
        graph = _graph(config, weights).SerializeToString()
        self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    def __call__(self, ids: Integers, types: Integers, mask: Integers) -> Floats:
        """Return (n, tokens, dim) vectors of the last layer, zero where ``mask`` is; all take (n, tokens)."""
        real = mask != 0
        rows = np.zeros(ids.shape, dtype=np.int64)
        rows[real] = np.arange(np.count_nonzero(real))  # a padded place shows some token, and is masked
        given = {
            "ids": ids[real],
            "types": types[real],
            "positions": np.nonzero(real)[1],
            "rows": rows,
            "places": np.flatnonzero(real),
            "real": real.astype(np.int32),
        }
        (found,) = self._session.run(None, given)
        vectors = np.zeros((*ids.shape, found.shape[1]), dtype=np.float32)
        vectors[real] = found
        return vectors


class _Weights:
    """Where each tensor of a safetensors file lies: 8 bytes of length, a JSON header, the data."""

    def __init__(self, folder: Path) -> None:
        word = "embeddings.word_embeddings.weight"
        found = []
        # Modules behind the layers have files of their own; a cache may hold links, which the runtime refuses
        for file in sorted(folder.rglob(WEIGHTS)):
            header, start = _header(file)
            found += [
                (file.resolve(), header, start, n.removesuffix(word)) for n in header if n.endswith(word)
            ]
        if len(found) != 1:
            raise ValueError(f"{len(found)} files {WEIGHTS} hold word embeddings, not one")
        self.file, self._header, self._start, self._prefix = found[0]

    def tensor(self, name: str) -> TensorProto:
        """Return a tensor that names its place in the file. Raises ``ValueError`` unless it is float32."""
        found = self._header[self._prefix + name]
        if found["dtype"] != "F32":
            raise ValueError(f"{name} is {found['dtype']}, not F32")
        begin, end = found["data_offsets"]
        tensor = TensorProto(
            name=name,
            data_type=TensorProto.FLOAT,
            dims=found["shape"],
            data_location=TensorProto.EXTERNAL,
        )
        place = {"location": self.file.name, "offset": self._start + begin, "length": end - begin}
        for key, value in place.items():
            tensor.external_data.add(key=key, value=str(value))
        return tensor


def _header(file: Path) -> tuple[dict[str, Any], int]:
    """Return what a safetensors file says of its tensors, and where their data begin."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        return json.loads(opened.read(length)), 8 + length


def _graph(config: Any, weights: _Weights) -> onnx.ModelProto:
    nodes = [
        helper.make_node("Gather", ["embeddings.word_embeddings.weight", "ids"], ["word"]),
        helper.make_node("Gather", ["embeddings.position_embeddings.weight", "positions"], ["position"]),
        helper.make_node("Gather", ["embeddings.token_type_embeddings.weight", "types"], ["type"]),
        helper.make_node("Add", ["word", "position"], ["placed"]),
        helper.make_node("Add", ["placed", "type"], ["embedded"]),
        _norm("embedded", "embeddings.LayerNorm", "hidden", config),
    ]
    hidden = "hidden"
    for number in range(config.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        nodes += _layer(hidden, layer, config)
        hidden = layer
    used = dict.fromkeys(name for node in nodes for name in node.input if name.endswith((".weight", ".bias")))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["tokens"])
        for name in ("ids", "types", "positions", "places")
    ]
    inputs += [
        helper.make_tensor_value_info("rows", TensorProto.INT64, ["n", "longest"]),
        helper.make_tensor_value_info("real", TensorProto.INT32, ["n", "longest"]),
    ]
    graph = helper.make_graph(
        nodes,
        "bert",
        inputs,
        [helper.make_tensor_value_info(hidden, TensorProto.FLOAT, ["tokens", config.hidden_size])],
        [*map(weights.tensor, used), numpy_helper.from_array(np.array([-1, config.hidden_size]), "in a row")],
    )
    versions = [helper.make_opsetid("", 18), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=versions, ir_version=10)


def _layer(hidden: str, layer: str, config: Any) -> Iterator[onnx.NodeProto]:
    """Yield the nodes of one layer, which gives the name ``layer``: (tokens, dim) from (tokens, dim)."""
    parts = [f"{layer}.attention.self.{part}" for part in ("query", "key", "value")]
    for part in parts:
        yield _dense(hidden, part, f"{part}.flat")
        yield helper.make_node("Gather", [f"{part}.flat", "rows"], [part])
    seen, attended = f"{layer}.seen", f"{layer}.attended"
    yield helper.make_node(
        "MultiHeadAttention",
        [*parts, "", "real"],
        [f"{seen}.padded"],
        num_heads=config.num_attention_heads,
        domain="com.microsoft",
    )
    yield helper.make_node("Reshape", [f"{seen}.padded", "in a row"], [f"{seen}.row"])
    yield helper.make_node("Gather", [f"{seen}.row", "places"], [seen])
    yield _dense(seen, f"{layer}.attention.output.dense", f"{attended}.dense")
    yield helper.make_node("Add", [hidden, f"{attended}.dense"], [f"{attended}.sum"])
    yield _norm(f"{attended}.sum", f"{layer}.attention.output.LayerNorm", attended, config)
    yield _dense(attended, f"{layer}.intermediate.dense", f"{layer}.wide")
    yield helper.make_node("Gelu", [f"{layer}.wide"], [f"{layer}.active"], domain="com.microsoft")
    yield _dense(f"{layer}.active", f"{layer}.output.dense", f"{layer}.dense")
    yield helper.make_node("Add", [attended, f"{layer}.dense"], [f"{layer}.sum"])
    yield _norm(f"{layer}.sum", f"{layer}.output.LayerNorm", layer, config)


def _dense(given: str, name: str, result: str) -> onnx.NodeProto:
    return helper.make_node("Gemm", [given, f"{name}.weight", f"{name}.bias"], [result], transB=1)


def _norm(given: str, name: str, result: str, config: Any) -> onnx.NodeProto:
    return helper.make_node(
        "LayerNormalization",
        [given, f"{name}.weight", f"{name}.bias"],
        [result],
        axis=-1,
        epsilon=config.layer_norm_eps,
    )
