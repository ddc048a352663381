"""Fourth room: checkpoints and a labelled set in; tag classifiers and an honest comparison out."""
