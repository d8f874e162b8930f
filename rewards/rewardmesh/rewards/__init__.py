"""What a score is: one reward per file or small package, pure Python."""
