"""What a corpus holds: counts, lengths, licences, authors."""
