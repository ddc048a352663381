"""Files as sources read them: packed or not, in any encoding, delimited in any dialect, JSON in any form."""
