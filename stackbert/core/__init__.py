"""What every room stands on: stage outputs, errors, worker processes, progress, pages."""
