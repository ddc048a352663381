"""The cells of a table: what texts, ids, tags and dates mean, decided once for each column."""
