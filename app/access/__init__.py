"""Who calls, what they may do, and what needs two persons."""
