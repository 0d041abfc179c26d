"""Building pair datasets: which of two pictures is preferred for a prompt, and why."""
