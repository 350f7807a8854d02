"""Selling a card: the purchase, the receipt that funds it, and money that funds nothing."""
