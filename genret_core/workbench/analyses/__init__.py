"""What each notebook asks of a study: a module per question, so that notebooks hold no logic."""
