"""Uses of cards: charged by the POS, confirmed by the consumer, and taken back."""
