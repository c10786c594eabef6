"""Running plans: operators that pull batches of rows from each other and from the transaction."""
