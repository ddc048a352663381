"""Raw posts -> clean text: markup removed, filters applied."""
