"""Who holds how much, and why it changed. Knows money and books, no use case."""
