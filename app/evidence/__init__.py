"""What proves that the book is true: `anxin verify`."""
