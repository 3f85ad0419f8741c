"""Views that draw pictures."""
