"""Predictions, and the texts that they are made of, as lists."""

import json
from dataclasses import replace
from pathlib import Path

from finetune.deploy.config import PredictConfig
from finetune.deploy.input_texts import input_texts
from finetune.deploy.predict import predict


def predicted(model: Path, config: PredictConfig) -> list[dict]:
    return [json.loads(line) for line in predict(model, "", replace(config, json=True))]


def texts(path: Path, **columns: str) -> list[tuple[str, str, object]]:
    return [tuple(one) for one in input_texts(PredictConfig(file=str(path), **columns))]
