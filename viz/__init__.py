"""From data, training logs, evaluations and galleries to pictures and pages."""
