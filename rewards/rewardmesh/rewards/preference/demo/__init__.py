"""Two reward models small enough to be trained in minutes, and the data that the project makes for them."""
