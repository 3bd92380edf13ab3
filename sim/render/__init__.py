"""Pictures of the district, drawn on EGL."""
