"""Safety: prompt rules, image policy and blurring."""
