"""The crossbar: all streams merged by tau, split by storage range, pushed to whoever subscribed.

Promises its subscribers every committed record of their range once, in tau order, and never a watermark that something
could still come below. Keeps nothing: whoever reconnects names its cursors and goes on, here or at another crossbar.
"""
