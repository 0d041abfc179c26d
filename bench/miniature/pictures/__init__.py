"""The second world: pictures of 32 x 32 pixels that a checker can read back."""
