"""The images of a campaign: ordered, settled, within the budget."""
