"""Speeds and sizes beside what they are compared with. It informs; it never gates."""
