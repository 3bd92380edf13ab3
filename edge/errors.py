"""The one error tree.  Every message says what, where, and what to do next."""

from __future__ import annotations


class SkywhistleError(Exception):
    """Anything Skywhistle refuses or cannot do; the command line prints it and exits with 1."""

    exit_code = 1


class ConfigError(SkywhistleError):
    """A config file, or something it names, is not usable; nothing was opened.  Exit code 2."""

    exit_code = 2


class CalibrationError(ConfigError):
    """A camera or mount file is not usable."""


class LensSetError(CalibrationError):
    """The pictures of a board do not determine a lens; the message says what to photograph."""


class UnconstrainedError(CalibrationError):
    """A recorded flight does not say what was to be calibrated; the message says what to fly."""


class TerrainError(ConfigError):
    """A terrain tile, or the elevation model that it is to be made of, is not usable."""


class TableError(ConfigError):
    """A CSV table is not usable; the message names file, row and column."""


class UnsignedError(ConfigError):
    """A file that must be vouched for is not, or has changed since."""


class KeysError(ConfigError):
    """Keys or certificates cannot be made, or those that are there cannot be used."""


class FlightError(ConfigError):
    """A recorded flight's folder is not usable."""


class LatencyError(FlightError):
    """A recorded flight does not show the video's delay; the message says what to fly instead."""


class LabelError(ConfigError):
    """A rule is on a label that no camera's model has."""


class ModelError(SkywhistleError):
    """A model does not load, or is not what its manifest says.  Exit code 2: it never will."""

    exit_code = 2


class ModelManifestError(ModelError):
    """A `model.toml` is missing, or says what cannot be."""


class ModelFormatError(ModelError):
    """A model file is not ONNX, or holds what is refused: external data, custom operators."""


class ModelHashError(ModelError):
    """A model file's hash differs from its manifest's."""


class ModelLayoutError(ModelError):
    """A model's outputs match no known head; the message lists the shapes seen."""


class QuantizationError(ModelError):
    """A model cannot be quantized, or not with these pictures."""


class CalibrationSetError(QuantizationError):
    """The pictures that a model is to be calibrated with are too few, or all the same."""


class VideoError(SkywhistleError):
    """A video source cannot be opened or went away."""


class VideoConfigError(VideoError):
    """A camera's `source` names no file or no kind of source: a mistake in the config."""

    exit_code = 2


class TelemetryError(SkywhistleError):
    """The autopilot's link or log cannot be read."""


class TelemetryConfigError(TelemetryError):
    """`autopilot` in the config cannot be meant: its url, baud or a message's name."""

    exit_code = 2


class ProtocolError(SkywhistleError):
    """Bytes that are not a message of ours."""


class SignatureError(ProtocolError):
    """Not signed by anybody who counts here, or changed since."""


class ReleaseError(SkywhistleError):
    """An original cannot be let go."""


class MailboxError(SkywhistleError):
    """The mailbox cannot store; what was accepted before is safe."""


class MailboxFullError(MailboxError):
    """The disk, or the mailbox's budget, is full."""


class RoleTakenError(MailboxError):
    """Another process already plays this role on the mailbox."""


class OutputError(SkywhistleError):
    """A replay's results cannot be written."""


class BrokerError(SkywhistleError):
    """The broker refuses us, or is not there."""


class ScenarioError(ConfigError):
    """A simulator scenario is not usable."""


class BenchError(SkywhistleError):
    """A figure cannot be measured here and now."""


class MissingExtraError(SkywhistleError):
    """An optional package is needed; the message names the extra to install."""
