"""A classifier or an encoder written for other libraries: ONNX, sentence-transformers."""
