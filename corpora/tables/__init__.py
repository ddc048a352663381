"""Tables with user-named columns as a source: files, data sets, their cells, their posts."""
