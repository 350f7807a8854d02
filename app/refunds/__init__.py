"""Refunds of cards: what the holder gets back, why, and how it is paid."""
