"""Word counts -> a WordPiece vocabulary, new or extended from a base's."""
