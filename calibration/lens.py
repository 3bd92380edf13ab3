"""From views of a board to a lens: which model, which views are wrong, and whether it is known."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from calibration.board import BoardView
from calibration.lens_fit import N_PINHOLE, Fit, Guess, Observations, Poses, refine
from calibration.lens_start import first_guess, poses_seen, start
from calibration.lens_views import CORNERS, GOOD_VIEWS, Coverage
from edge.errors import LensSetError
from edge.geo.camera_file import border_uv, fold_in_picture
from edge.geo.lenses import LENSES, coefficient_names
from edge.records import FloatArray

log = logging.getLogger(__name__)

MIN_VIEWS = 6
# A board seen squarely tells the focal length only times its distance.
TILTED_DEG = 10.0
MIN_TILTED = 3
# A view whose errors are so many times the usual is of another kind: a corner taken for another, a
# board that moved or bent.
OUTLIER = 2.5
OUTLIER_FLOOR_PX = 0.25
MOST_REJECTED = 0.34  # of the views
N_FOLDS = 4
# A model of more coefficients must be so much better on views that it was not fitted to.
WORTH_MORE = 0.97
# One sigma of focal length and principal point, of the focal length: 0.5 % is 0.3 m at 60 m.
MOST_SIGMA = 0.005


@dataclass(frozen=True)
class LensSolution:
    """A lens that has been solved, and how."""

    fit: Fit
    rejected: Mapping[str, float]  # by picture: RMS error, px
    tried_px: Mapping[str, float]  # by model: error on views that it was not fitted to
    warnings: tuple[str, ...]
    all_views: tuple[BoardView, ...]


def solve_lens(views: Sequence[BoardView], model: str = "auto") -> LensSolution:
    """Solve a camera's lens from views of one board.

    Args:
        views: Of one camera at one size; each with a name of its own.
        model: brown, rational, fisheye; or auto, the simplest that explains the views.

    Raises:
        LensSetError: The views do not determine a lens; the message says what to photograph.
    """
    _check_views(views)
    fits = _fits(views, LENSES if model == "auto" else (model,))
    tried_px = {name: held_out_px(fit) for name, fit in fits.items()} if len(fits) > 1 else {}
    chosen = _chosen(fits, tried_px)
    fit, rejected = _without_outliers(chosen)
    if _folds(fit):
        raise LensSetError(
            f"the {fit.model} model that fits these views turns back on itself inside the picture, "
            f"where no board was; photograph {_corners_words(fit)}, or try --model fisheye for a "
            "very wide lens"
        )
    coverage = Coverage.of(fit.seen.views)
    _check_constrained(fit, coverage)
    return LensSolution(fit, rejected, tried_px, _warnings(fit, coverage), tuple(views))


def fit_model(views: Sequence[BoardView], model: str, *, robust: bool = True) -> Fit:
    """Fit one model to all the views, outliers and all.

    Raises:
        LensSetError: No lens of this model explains the views.
    """
    n_values = N_PINHOLE + len(coefficient_names(model))
    free = np.ones(n_values, dtype=bool)
    try:
        if model == "rational":  # of which Brown's model is a part: start from there
            simpler = fit_model(views, "brown", robust=robust)
            values = np.zeros(n_values)
            values[: len(simpler.values)] = simpler.values
            guess = Guess(model, simpler.size_px, values, simpler.poses)
            return _refined(guess, simpler.seen, free, robust=robust)
        guess = start(views, model, first_guess(views, model))
        return _refined(guess, Observations(tuple(views)), free, robust=robust)
    except (ValueError, np.linalg.LinAlgError) as error:
        raise LensSetError(
            f"no {model} lens explains the {len(views)} views ({error}); check that they are of "
            "one camera, at one zoom and focus, and that the board's numbers are right"
        ) from error


def held_out_px(fit: Fit) -> float:
    """Return the median error of views, each by a lens that was fitted to others, px; or inf."""
    views, errors = fit.seen.views, []
    for fold in range(N_FOLDS):
        tested = np.arange(len(views)) % N_FOLDS == fold
        if not tested.any():
            continue
        train = refine(_part(fit, ~tested), _seen(fit, ~tested), fit.free)
        held = _seen(fit, tested)
        poses = poses_seen(train.intrinsics(""), held)
        guess = Guess(fit.model, fit.size_px, train.values, poses)
        errors += refine(guess, held, np.zeros_like(fit.free)).view_rms_px.tolist()
    return float(np.median(np.nan_to_num(errors, nan=np.inf)))


def _refined(guess: Guess, seen: Observations, free: NDArray[np.bool_], *, robust: bool) -> Fit:
    """Fit; look at each board anew with the lens found, since a flat board may be seen two ways."""
    first = refine(guess, seen, free, robust=robust)
    if not np.isfinite(first.rms_px):
        raise ValueError("the search found no start")
    anew = poses_seen(first.intrinsics(""), seen)
    still = np.zeros_like(free)
    other = refine(replace(guess, values=first.values, poses=anew), seen, still, robust=robust)
    is_better = other.view_rms_px < 0.9 * first.view_rms_px  # NaN is not
    if not is_better.any():
        return first
    best = Poses(
        np.where(is_better[:, None, None], other.poses.camera_from_board,
                 first.poses.camera_from_board),
        np.where(is_better[:, None], other.poses.board_in_camera_m, first.poses.board_in_camera_m),
    )  # fmt: skip
    return refine(replace(guess, values=first.values, poses=best), seen, free, robust=robust)


def _fits(
    views: Sequence[BoardView], models: Sequence[str] | Mapping[str, object]
) -> dict[str, Fit]:
    """Fit each model; those that cannot explain the views, or fold inside the picture, are out."""
    fits, refusal = {}, None
    for model in models:
        try:
            fit = fit_model(views, model)
        except LensSetError as error:
            refusal = error
            continue
        if _folds(fit) and model != "fisheye":
            fit = _without_k3(fit)
        fits[model] = fit
    if not fits and refusal is not None:
        raise refusal
    return {name: fit for name, fit in fits.items() if not _folds(fit)} or fits


def _without_k3(fit: Fit) -> Fit:
    """Fit again without the highest powers, which run away where no board was."""
    names = coefficient_names(fit.model)
    is_high = np.array([False] * N_PINHOLE + [name in {"k3", "k6"} for name in names])
    values = np.where(is_high, 0.0, fit.values)
    return refine(Guess(fit.model, fit.size_px, values, fit.poses), fit.seen, fit.free & ~is_high)


def _chosen(fits: Mapping[str, Fit], tried_px: Mapping[str, float]) -> Fit:
    """Take the model of fewest coefficients that is nearly as good as the best."""
    if not tried_px:
        return next(iter(fits.values()))
    best_px = min(tried_px.values())
    good = [name for name in fits if WORTH_MORE * tried_px[name] <= best_px]
    return fits[min(good, key=lambda name: (name != "brown", len(coefficient_names(name))))]


def _without_outliers(fit: Fit) -> tuple[Fit, dict[str, float]]:
    """Leave out views that do not agree with the rest, the worst first."""
    n_views = len(fit.seen.views)
    rejected: dict[str, float] = {}
    while True:
        errors = fit.view_rms_px
        worst = int(errors.argmax())
        if not errors[worst] > max(OUTLIER * float(np.median(errors)), OUTLIER_FLOOR_PX):
            return fit, rejected
        rejected[fit.seen.views[worst].name] = float(errors[worst])
        left = np.arange(len(errors)) != worst
        if len(rejected) > MOST_REJECTED * n_views or left.sum() < MIN_VIEWS:
            raise LensSetError(
                f"{len(rejected)} of {n_views} views do not agree with the others (worst: "
                f"{', '.join(sorted(rejected))}); check that the board is flat and its numbers are "
                "right, that zoom and focus were not touched, and photograph it at rest"
            )
        fit = refine(_part(fit, left), _seen(fit, left), fit.free)


def _seen(fit: Fit, chosen: NDArray[np.bool_]) -> Observations:
    return Observations(tuple(v for v, take in zip(fit.seen.views, chosen, strict=True) if take))


def _part(fit: Fit, chosen: NDArray[np.bool_]) -> Guess:
    poses = Poses(fit.poses.camera_from_board[chosen], fit.poses.board_in_camera_m[chosen])
    return Guess(fit.model, fit.size_px, fit.values, poses)


def _folds(fit: Fit) -> bool:
    """Say whether the lens would be refused where it is flown."""
    return fold_in_picture(fit.intrinsics("").lens, _border_xy(fit)) is not None


def _border_xy(fit: Fit) -> FloatArray:
    xy: FloatArray = (border_uv(*fit.size_px) - fit.values[2:4]) / fit.values[:2]
    return xy


def _check_views(views: Sequence[BoardView]) -> None:
    if len(views) < MIN_VIEWS:
        more = Coverage.of(views).next_pictures()
        raise LensSetError(
            f"a board was found in {len(views)} pictures; {MIN_VIEWS} are the least and "
            f"{GOOD_VIEWS} or more are good; photograph {more}"
        )
    sizes = Counter(view.size_px for view in views)
    if len(sizes) > 1:
        (usual, _), *_ = sizes.most_common()
        odd = next(view for view in views if view.size_px != usual)
        raise LensSetError(
            f"{odd.name} is {odd.size_px[0]}×{odd.size_px[1]}, others are {usual[0]}×{usual[1]}; "
            "calibrate with pictures of one size and one camera mode"
        )


def _check_constrained(fit: Fit, coverage: Coverage) -> None:
    """Refuse a fit whose numbers the views do not hold fast."""
    n_tilted = int((fit.tilts_deg >= TILTED_DEG).sum())
    if n_tilted < MIN_TILTED:
        raise LensSetError(
            f"{len(fit.seen.views) - n_tilted} of {len(fit.seen.views)} views show the board "
            "squarely: that tells no focal length from a distance; photograph it tilted by 20 to "
            "45 degrees, each of its four sides nearer in turn"
        )
    for name, sigma in zip(("fx", "fy", "cx", "cy"), fit.sigmas, strict=False):
        if not sigma <= MOST_SIGMA * fit.values[0]:
            more = coverage.next_pictures() or "the board larger, and tilted more"
            raise LensSetError(
                f"the views leave {name} uncertain by {sigma:.1f} px (one sigma, of a focal length "
                f"of {fit.values[0]:.0f} px); photograph {more}"
            )


def _warnings(fit: Fit, coverage: Coverage) -> tuple[str, ...]:
    """Say what the answer is weak in."""
    told = []
    if missing := CORNERS & set(coverage.missing_places):
        told.append(
            f"no board was in the picture's {', '.join(sorted(missing))}: the lens is guessed there"
        )
    if coverage.missing_leans:
        leans = ", ".join(lean.value for lean in coverage.missing_leans)
        told.append(f"no view of the board with {leans}")
    if len(fit.seen.views) < GOOD_VIEWS:
        told.append(f"only {len(fit.seen.views)} views; {GOOD_VIEWS} or more are good")
    return tuple(told)


def _corners_words(fit: Fit) -> str:
    missing = CORNERS & set(Coverage.of(fit.seen.views).missing_places)
    return f"the board in the picture's {', '.join(sorted(missing) or ['corners, larger'])}"
