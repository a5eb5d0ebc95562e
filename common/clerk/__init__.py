"""The clerk: small duties on the database, each safe to run twice, by any number of clerks at once."""
