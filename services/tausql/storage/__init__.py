"""Storage: the rows, by key and tau, in one zone.

Promises its readers the right answer at any tau of the transaction window, once its watermark has reached it, and the
newest tau it touched on the way; promises the journal that what it reported as durable never has to be sent again.
Keeps data, cursors, watermark and collection horizon in one store, written together. Forgets on restart: reads that
waited.
"""
