"""Images: importing, storing, showing and finding them."""
