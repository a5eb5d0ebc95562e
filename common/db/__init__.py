"""How Pressroom talks to its SQL database: engine, transactions, column types and the database clock."""
