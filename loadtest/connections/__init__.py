"""Very many connections at once: do they all answer, and what does one cost that does nothing?"""
