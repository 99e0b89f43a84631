"""What an update would do, and the comment that says so under a pull request."""
