"""What people are shown: notebooks as single pages that work offline, and the index of a study."""
