"""Measures: attention in, numbers out; reducers, statistics, totals, links."""
