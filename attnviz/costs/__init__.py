"""What attention costs, counted from sizes and measured here."""
