"""What to do next in a graphical user interface: clicks, typing, scrolling."""
