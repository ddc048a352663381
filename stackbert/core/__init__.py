"""Foundation of all rooms: stage outputs, errors, worker processes, progress, plots and pages."""
