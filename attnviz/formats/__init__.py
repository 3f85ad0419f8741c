"""Records as other programs write and read them: JSON, CSV, NPZ."""
