"""Anxin: the book of record for prepaid money."""
