"""Two agent runs side by side: what each found in the images that both looked at, and which of that is right."""
