"""The description of the server's JSON endpoints, as OpenAPI 3.1."""

from typing import Any

from finetune.deploy.config import ServeConfig
from finetune.deploy.predict_request import DEFAULT_TOP

EXAMPLE_TEXT = "How do I connect to a mysql database from node.js?"


def openapi_document(name: str, config: ServeConfig) -> dict[str, Any]:
    """The document at /openapi.json; `name` is the classifier's."""
    loading = {"503": _error("The classifier is being loaded.")}
    return {
        "openapi": "3.1.0",
        "info": {"title": f"Classifier {name}", "version": "1"},
        "paths": {
            "/predict": {"post": _predict(config)},
            "/health": {"get": _state("Whether the server is alive.", "It is.", "ok")},
            "/ready": {
                "get": _state(
                    "Whether texts are labelled: the classifier is loaded and compiled.", "They are.", "ready", loading
                )
            },
        },
        "components": {"schemas": _schemas()},
    }


def _predict(config: ServeConfig) -> dict[str, Any]:
    predictions = {"oneOf": [_reference("Prediction"), _reference("Predictions")]}
    errors = {
        "400": "The request is not what is expected; 'error' says what is.",
        "413": f"The body has more than {config.max_body_bytes:,} bytes.",
        "503": "Too many texts are waiting, or the classifier is being loaded: try again after Retry-After seconds.",
    }
    return {
        "summary": "The most probable labels of a text, or of each of several texts.",
        "requestBody": {"required": True, "content": _json(_request(config))},
        "responses": {
            "200": {
                "description": "For 'text' a prediction, for 'texts' one for each, in their order.",
                "content": _json(predictions),
            },
            **{status: _error(description) for status, description in errors.items()},
        },
    }


def _request(config: ServeConfig) -> dict[str, Any]:
    text = {"type": "string", "maxLength": config.max_characters}
    texts = {"type": "array", "items": text, "minItems": 1, "maxItems": config.max_texts}
    top = {"type": "integer", "minimum": 1, "default": DEFAULT_TOP, "description": "Maximum number of labels per text."}
    return {
        "type": "object",
        "properties": {
            "text": {**text, "examples": [EXAMPLE_TEXT], "description": "A text to label."},
            "texts": {**texts, "description": "Several texts to label, instead of 'text'."},
            "top": top,
        },
        "oneOf": [{"required": ["text"]}, {"required": ["texts"]}],
        "additionalProperties": False,
    }


def _schemas() -> dict[str, Any]:
    score = {"type": "number", "minimum": 0, "maximum": 1, "description": "Probability."}
    chosen = {"type": "boolean", "description": "Whether the probability reaches the label's tuned threshold."}
    tokens = {"type": "array", "items": {"type": "string"}, "description": "The tokens that the classifier read."}
    count = {"type": "integer", "minimum": 0}
    return {
        "Label": _object({"name": {"type": "string"}, "score": score, "chosen": chosen}),
        "Prediction": _object(
            {
                "labels": {"type": "array", "items": _reference("Label"), "description": "The most probable first."},
                "tokens": tokens,
                "tokens_read": count | {"description": "Number of tokens read."},
                "max_length": count | {"description": "Maximum number of tokens; the rest of a text is not read."},
            }
        ),
        "Predictions": _object({"predictions": {"type": "array", "items": _reference("Prediction")}}),
        "Error": _object({"error": {"type": "string", "description": "What is wrong, and what is expected."}}),
    }


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties)}


def _reference(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any]) -> dict[str, Any]:
    return {"application/json": {"schema": schema}}


def _error(description: str) -> dict[str, Any]:
    return {"description": description, "content": _json(_reference("Error"))}


def _state(summary: str, description: str, status: str, others: dict[str, Any] | None = None) -> dict[str, Any]:
    content = _json(_object({"status": {"const": status}}))
    return {
        "summary": summary,
        "responses": {"200": {"description": description, "content": content}, **(others or {})},
    }
