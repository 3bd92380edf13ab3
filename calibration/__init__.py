"""Camera and mount calibrations, and (later) the solvers that make them."""
