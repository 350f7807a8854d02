-- Cases that people judge, and disputes of uses.
SELECT 1;
