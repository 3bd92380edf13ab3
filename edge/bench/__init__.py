"""`skywhistle bench`: the figures of this machine, measured on the pipeline itself."""
