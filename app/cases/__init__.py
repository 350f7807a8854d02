"""Cases: what people must judge, the merchant's answer, its deadline, and the decision."""
