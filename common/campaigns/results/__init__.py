"""The results of a campaign: lines, archives and public links."""
