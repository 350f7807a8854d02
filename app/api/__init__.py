"""HTTP that is nobody's in particular: problems, bodies, keys, pages, health.

`routing.api_router` makes a capability's router, `dependencies` has what a handler asks for,
`schemas` the field types, `problems.problems` declares refusals, `lean.lean` marks hot routes.
"""
