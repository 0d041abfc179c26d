"""Second readings: images that another person reads blind, how far both agree, and who decides where they differ."""
