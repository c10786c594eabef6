"""The timekeeper: a reference clock in every zone, for everybody's interval clock.

It promises that true time lay within the interval it answers, as far as its machine's kernel (or its operator) can
promise that, and refuses where nobody can. Its clients take a majority's word, so a single broken one does no harm.
Nothing to forget on restart.
"""
