"""What sales, charges, refunds and closures share: the card and its arithmetic."""
