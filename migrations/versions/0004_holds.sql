-- Holds on cards, payables and custody accounts.
SELECT 1;
