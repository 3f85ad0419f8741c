"""Views: they turn attention into tables and pictures."""
