"""Base checkpoint + vocabulary + packed rows -> a checkpoint adapted by masked-language-model pretraining."""
