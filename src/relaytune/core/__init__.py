"""What every stage shares; stages import from here and never from each other."""
