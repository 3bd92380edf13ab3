"""Opens an ONNX Runtime session, and says which provider it really got."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as state

from edge.config import InferenceConfig
from edge.errors import ModelError, ModelFormatError

log = logging.getLogger(__name__)

PROVIDERS = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
_SHORT_NAMES = {long: short for short, long in PROVIDERS.items()}
_ERRORS_ONLY = 3  # ONNX Runtime's severity; its warnings go to stderr at every start

# Some builds send usage data home: an aircraft tells its desk, and nobody else.
ort.disable_telemetry_events()

# The runtime's own errors share no base class but Exception.
RUNTIME_ERRORS: tuple[type[Exception], ...] = (
    state.EPFail,
    state.EngineError,
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoModel,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
    RuntimeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class OpenedSession:
    """A session and the provider asked for and got, as `InferenceConfig` names them."""

    session: Any
    provider_asked: str
    provider_got: str


def open_session(data: bytes, path: Path, inference: InferenceConfig) -> OpenedSession:
    """Open a session from a model's bytes with the best provider that works.

    The order is the config's; the CPU always comes last.  A provider that is not in this build or
    does not start is passed over: the caller compares asked with got.

    Args:
        data: The model file; given as bytes, so that nothing beside it can be loaded.
        path: Where it came from, for messages and for the engine cache.
        inference: Providers, threads, spinning.

    Raises:
        ModelFormatError: no provider takes the model.
    """
    asked = inference.providers[0] if inference.providers else "cpu"
    wanted = dict.fromkeys((*inference.providers, "cpu"))
    available = set(ort.get_available_providers())
    usable = [name for name in wanted if PROVIDERS[name] in available]
    while usable:
        try:
            session = ort.InferenceSession(
                data,
                _options(inference),
                providers=[(PROVIDERS[name], _provider_options(name, path)) for name in usable],
                enable_fallback=0,  # the runtime's own retry prints to stdout and says nothing else
            )
        except RUNTIME_ERRORS as error:
            if usable == ["cpu"]:
                raise ModelFormatError(
                    f"{path} does not load in ONNX Runtime {ort.__version__}: {error}"
                ) from error
            log.warning("provider_failed provider=%s error=%r", usable.pop(0), str(error)[:300])
            continue
        _refuse_unreadable_text(session, path)
        got = session.get_providers()[0]
        return OpenedSession(session, asked, _SHORT_NAMES.get(got, got))
    raise ModelError(f"this ONNX Runtime has no CPU provider, only {sorted(available)}")


def _refuse_unreadable_text(session: Any, path: Path) -> None:
    """Read all text that anybody asks a session for: the runtime takes any bytes for a name."""
    try:
        _ = session.get_modelmeta().custom_metadata_map
        _ = [(one.name, one.shape) for one in (*session.get_inputs(), *session.get_outputs())]
    except UnicodeDecodeError as error:
        raise ModelFormatError(
            f"{path} holds names or metadata that are no UTF-8 text ({error}); export it again"
        ) from error


def _options(inference: InferenceConfig) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = inference.threads
    options.inter_op_num_threads = 1
    spinning = "1" if inference.spinning else "0"
    options.add_session_config_entry("session.intra_op.allow_spinning", spinning)
    options.log_severity_level = _ERRORS_ONLY
    return options


def _provider_options(name: str, path: Path) -> dict[str, str]:
    """TensorRT compiles for minutes: keep its engine beside the model where that is writable."""
    if name != "tensorrt":
        return {}
    options = {"trt_fp16_enable": "1"}
    if os.access(path.parent, os.W_OK):
        options |= {
            "trt_engine_cache_enable": "1",
            "trt_engine_cache_path": str(path.parent / "tensorrt"),
        }
    return options
