"""The whole stack as one process tree: what dies is started again, and one signal ends it all."""
