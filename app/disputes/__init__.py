"""Disputes: a consumer contests a use, its money is set aside, and a case decides it."""
