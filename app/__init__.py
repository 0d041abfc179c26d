"""The web application and the data layer: one room (folder) per subject."""
