"""The detector: one picture in, boxes with labels out, in the picture's own pixels."""

from __future__ import annotations

import logging
import time
from collections import Counter
from enum import Enum
from typing import Any

import numpy as np

from edge.config import InferenceConfig
from edge.errors import ModelError, ModelLayoutError
from edge.records import Detection, ImageArray
from edge.vision.heads import Array, Candidates
from edge.vision.inputs import model_inputs
from edge.vision.letterbox import Letterbox
from edge.vision.manifest import ModelManifest, read_checked_model
from edge.vision.preprocess import InputTensor
from edge.vision.runtime import RUNTIME_ERRORS, open_session
from edge.vision.scan import refuse_what_must_not_run
from edge.vision.sniff import make_head
from edge.vision.suppress import MAX_CANDIDATES, best_candidates, suppress_overlaps

log = logging.getLogger(__name__)

MIN_BOX_PX = 1.0  # of the frame; thinner than a pixel is no box
SCORE_SLACK = 1e-3  # rounding of quantised outputs above 1


class Dropped(Enum):
    """Why a candidate box became no detection."""

    NOT_FINITE = "not_finite"  # NaN or infinite score or box
    NOT_A_SCORE = "not_a_score"  # above 1: raw logits, or the wrong layout
    UNKNOWN_CLASS = "unknown_class"  # an index that the manifest has no label for
    DEGENERATE = "degenerate"  # thinner than a pixel, or outside the frame
    TOO_MANY = "too_many"  # beyond the bound on candidates in one frame


class OnnxDetector:
    """Finds things in pictures with one ONNX model.  Not for two threads at once.

    Attributes:
        manifest: What the model is.
        labels: Class names by index.
        min_score: Candidates below are not looked at; may be changed between two calls.
        model_hash: First 8 bytes of the file's SHA-256.
        provider_asked: The first of the configured providers.
        provider_got: The provider that runs.
        last_inference_s: What the last `session.run` took; NaN before the first.
        dropped: Candidates dropped since the start, by reason.
    """

    def __init__(
        self,
        manifest: ModelManifest,
        inference: InferenceConfig,
        min_score: float | None = None,
    ) -> None:
        """Load the model.

        Args:
            manifest: From `read_manifest`.
            inference: Providers, threads, spinning.
            min_score: Overrides the manifest's default.

        Raises:
            ModelHashError: the file is not the manifest's.
            ModelFormatError: not ONNX, external data, custom operators, does not load.
            ModelLayoutError: inputs or outputs are not what the manifest says.
        """
        self.manifest = manifest
        self.labels = manifest.labels
        self.model_hash = manifest.model_hash
        self.min_score = manifest.thresholds.min_score if min_score is None else min_score
        self.last_inference_s = float("nan")
        self.dropped: Counter[Dropped] = Counter()
        data = read_checked_model(manifest)
        refuse_what_must_not_run(data, manifest.model_path)
        opened = open_session(data, manifest.model_path, inference)
        self._session = opened.session
        self.provider_asked, self.provider_got = opened.provider_asked, opened.provider_got
        inputs = model_inputs(self._session, manifest.model_path)
        self._tensor = _input_tensor(inputs.picture, manifest)
        wh_px = (manifest.input.width_px, manifest.input.height_px)
        self._feed = inputs.feed(self._tensor.array, wh_px)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self._head = make_head(
            manifest.head.layout,
            manifest.head.strides,
            self._output_shapes(),
            wh_px,
            names=self._outputs,
            n_labels=len(self.labels),
        )
        self._report_start()

    @property
    def provider_is_as_asked(self) -> bool:
        """Whether the provider that runs is the one that was asked for."""
        return self.provider_asked == self.provider_got

    def warm_up(self) -> None:
        """Run once on an empty picture: the first inference compiles and allocates.

        Raises:
            ModelError: the model does not run.
        """
        self._infer()

    def detect(self, image_bgr: ImageArray) -> list[Detection]:
        """Find things in one picture.

        Args:
            image_bgr: Shape (H, W, 3), uint8; the size may change from call to call.

        Returns:
            Boxes in the picture's pixels from the centre of the first one, clipped to the outermost
            pixels' centres, best score first.

        Raises:
            ModelError: the inference failed; the frame is lost.
            ValueError: not such an array.
        """
        letterbox = self._tensor.fill(image_bgr)
        outputs = self._infer()
        with np.errstate(over="ignore", invalid="ignore"):  # no numbers: dropped, and counted
            found = self._head.decode(outputs, self.min_score)
        if found.n_not_a_number:
            self.dropped[Dropped.NOT_FINITE] += found.n_not_a_number
        if len(found.scores) == 0:
            return []
        found = self._without_nonsense(found)
        if self._head.needs_nms:
            limits = self.manifest.thresholds
            kept = suppress_overlaps(
                found.boxes_xyxy,
                found.scores,
                found.classes,
                limits.nms_iou,
                limits.nms_contained,
            )
        else:
            kept = np.argsort(-found.scores, kind="stable")
        return self._detections(_chosen(found, kept), letterbox)

    def _infer(self) -> list[Array]:
        started_s = time.perf_counter()
        try:
            outputs: list[Array] = self._session.run(self._outputs, self._feed)
        except RUNTIME_ERRORS as error:
            raise ModelError(
                f"{self.manifest.model_path} failed on {self.provider_got}: {error}"
            ) from error
        self.last_inference_s = time.perf_counter() - started_s
        return outputs

    def _output_shapes(self) -> list[tuple[int, ...]]:
        """Take the declared shapes where they are whole numbers, else those of a trial run."""
        declared = [tuple(output.shape) for output in self._session.get_outputs()]
        if all(isinstance(side, int) for shape in declared for side in shape):
            return declared
        return [tuple(output.shape) for output in self._infer()]

    def _without_nonsense(self, found: Candidates) -> Candidates:
        """Drop and count what is no box with a label; keep at most a bounded number."""
        if self._is_sound(found):  # mostly
            return found
        finite = np.isfinite(found.boxes_xyxy).all(axis=1) & np.isfinite(found.scores)
        score = found.scores <= 1.0 + SCORE_SLACK
        known = (found.classes >= 0) & (found.classes < len(self.labels))
        good = finite & score & known
        for reason, passed in (
            (Dropped.NOT_FINITE, finite),
            (Dropped.NOT_A_SCORE, score | ~finite),
            (Dropped.UNKNOWN_CLASS, known | ~finite | ~score),
        ):
            self.dropped[reason] += int(np.count_nonzero(~passed))
        found = _chosen(found, np.flatnonzero(good))
        kept = best_candidates(found.scores)
        self.dropped[Dropped.TOO_MANY] += len(found.scores) - len(kept)
        return _chosen(found, kept)

    def _is_sound(self, found: Candidates) -> bool:
        """Say whether all are boxes with a label, and not too many; comparisons refuse NaN."""
        limit = len(self.labels)
        return bool(
            len(found.scores) <= MAX_CANDIDATES
            and found.scores.max() <= 1.0 + SCORE_SLACK
            and found.scores.min() > -np.inf
            and found.classes.min() >= 0
            and found.classes.max() < limit
            and np.isfinite(found.boxes_xyxy).all()
        )

    def _detections(self, found: Candidates, letterbox: Letterbox) -> list[Detection]:
        boxes = letterbox.clip_to_frame(letterbox.frame_from_input(found.boxes_xyxy))
        detections = [
            Detection(self.labels[index], min(1.0, score), (x0, y0, x1, y1))
            for index, score, (x0, y0, x1, y1) in zip(
                found.classes.tolist(), found.scores.tolist(), boxes.tolist(), strict=True
            )
            if x1 - x0 >= MIN_BOX_PX and y1 - y0 >= MIN_BOX_PX
        ]
        if len(detections) < len(boxes):
            self.dropped[Dropped.DEGENERATE] += len(boxes) - len(detections)
        return detections

    def _report_start(self) -> None:
        if not self.provider_is_as_asked:
            log.warning(
                "provider_not_as_asked model=%s asked=%s got=%s inference_will_be_slow=true",
                self.manifest.name,
                self.provider_asked,
                self.provider_got,
            )
        n_classes = self._head.n_classes
        if n_classes is not None and n_classes != len(self.labels):
            log.warning(
                "labels_do_not_match model=%s classes=%d labels=%d",
                self.manifest.name,
                n_classes,
                len(self.labels),
            )


def _chosen(found: Candidates, indices: Array) -> Candidates:
    return Candidates(found.boxes_xyxy[indices], found.scores[indices], found.classes[indices])


def _input_tensor(picture: Any, manifest: ModelManifest) -> InputTensor:
    """Allocate the input after comparing the manifest with what the model says it eats."""
    tensor = InputTensor(manifest.input, picture.type)
    declared, given = picture.shape, tensor.array.shape
    agrees = len(declared) == len(given) and all(
        not isinstance(side, int) or side < 1 or side == own
        for side, own in zip(declared, given, strict=True)
    )
    if not agrees:
        raise ModelLayoutError(
            f"{manifest.model_path} takes {declared}, its manifest says {list(given)}; correct "
            "[input] in model.toml"
        )
    return tensor
