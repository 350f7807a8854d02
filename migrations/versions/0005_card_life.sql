-- What a holder may do with a card: freeze, transfer, report lost, reactivate.
SELECT 1;
