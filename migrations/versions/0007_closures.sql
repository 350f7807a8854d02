-- The closing of a merchant: every card refunded once.
SELECT 1;
