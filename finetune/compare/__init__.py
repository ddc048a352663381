"""Systems x seeds -> trials, results, report."""
