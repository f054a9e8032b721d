"""Use cases: sample an agent, scrape them all, swap the configuration."""
