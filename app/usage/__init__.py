"""What becomes of each attribute in use: its labels, what people made of the agent's, what audits say."""
