"""HTTP that is nobody's in particular: problems, bodies, keys, pages, health."""
