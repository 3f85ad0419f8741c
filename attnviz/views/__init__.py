"""Views: attention in, something to look at or to write out."""
