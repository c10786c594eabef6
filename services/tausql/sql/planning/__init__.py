"""From bound queries to plans: which index, which join, in which order. Plans are immutable and shared by sessions."""
