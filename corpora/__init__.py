"""First room: dump, tables or package documentation in; clean posts and a leak-free labelled set out."""
