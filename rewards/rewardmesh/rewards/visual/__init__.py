"""What the rewards about images and videos share: where the answer stands, what it says, in which coordinates."""
