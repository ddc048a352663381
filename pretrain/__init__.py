"""Third room: a base checkpoint, a vocabulary and packed rows in; an adapted checkpoint out."""
