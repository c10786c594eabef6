"""The ordering application: orders and their items, as a shop writes and reads them."""
