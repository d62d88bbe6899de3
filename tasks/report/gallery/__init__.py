"""The gallery page: its rows, its pictures and its template."""
