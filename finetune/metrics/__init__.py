"""Multi-label metrics, confidence intervals and diagnostics."""
