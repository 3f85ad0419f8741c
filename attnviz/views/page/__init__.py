"""The page: one HTML file that holds records and all that shows them, for a browser without a network."""
