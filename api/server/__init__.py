"""The server: reads requests and sends answers without holding a thread; a thread runs the app in between."""
