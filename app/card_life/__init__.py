"""What a card's holder may do with it: freeze, report lost, reactivate, transfer."""
