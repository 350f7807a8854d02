"""The contract, exported."""
